"""Repair harmless damage in image files, and read color information that Pillow ignores."""

from typing import BinaryIO

from stylekit.images.heif_boxes import AVIF_BRANDS, declared_colors
from stylekit.images.jpeg import skip_blanks
from stylekit.images.png import PNG_SIGNATURE, Info, repair_png


def repaired(file: BinaryIO, notes: list[str]) -> tuple[BinaryIO, Info]:
    """Repair an image file so that Pillow can read it.

    Args:
        file: An image file in any format, positioned at its start.
        notes: Receives notes about damage.

    Returns:
        The file, or a repaired copy in memory; and entries to add to Pillow's `info`.
    """
    head = file.read(12)
    file.seek(0)
    if head.startswith(PNG_SIGNATURE):
        return repair_png(file, notes)
    if head[4:8] == b"ftyp" and head[8:] in AVIF_BRANDS:
        cicp = declared_colors(file)
        return file, {"cicp": cicp} if cicp else {}
    return skip_blanks(file), {}
