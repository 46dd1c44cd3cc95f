"""Files with harmless damage, and what they say that Pillow does not read."""

from typing import Any, BinaryIO

from stylekit.images.heif_boxes import declared_colors
from stylekit.images.jpeg import skip_blanks
from stylekit.images.png import PNG_SIGNATURE, repair_png

_AVIF_BRANDS = (b"avif", b"avis")


def repaired(file: BinaryIO, notes: list[str]) -> tuple[BinaryIO, dict[str | tuple[int, int], Any]]:
    """Return a file that Pillow can read, or the file as it is, and what belongs into Pillow's `info` besides.

    Args:
        file: An image file of any kind, at its start.
        notes: Takes notes about damage.
    """
    head = file.read(12)
    file.seek(0)
    if head.startswith(PNG_SIGNATURE):
        file, cicp = repair_png(file, notes)
        return file, {"cicp": cicp, "icc_profile": None} if cicp else {}  # it takes precedence over a profile
    if head[4:8] == b"ftyp" and head[8:] in _AVIF_BRANDS:
        cicp = declared_colors(file)
        return file, {"cicp": cicp} if cicp else {}
    return skip_blanks(file), {}
