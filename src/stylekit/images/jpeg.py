"""JPEGs that lack nothing but their end, or start late."""

import io
from typing import BinaryIO

from PIL import Image

_START, _END = b"\xff\xd8\xff", b"\xff\xd9"
_FILLERS = (b"", b"\x55" * 64)  # read as pixels, they differ


def skip_blanks(file: BinaryIO) -> BinaryIO:
    """Return a JPEG without the line ends before it that downloads can have; any other file as it is."""
    head = file.read(12)
    file.seek(0)
    if not head.lstrip().startswith(_START) or head.startswith(_START):
        return file
    return io.BytesIO(file.read().lstrip())


def complete_jpeg(file: BinaryIO) -> BinaryIO | None:
    """Return a JPEG with the end marker that it lacks; None if it lacks more, is whole, or is not a JPEG.

    A decoder fills missing pixels with what follows, so it is decoded twice, with different bytes at its end.
    """
    file.seek(0)
    data = file.read()
    if not data.startswith(_START) or data.endswith(_END):
        return None
    first, second = (_decoded(data + filler + _END) for filler in _FILLERS)
    return io.BytesIO(data + _END) if first is not None and first == second else None


def _decoded(data: bytes) -> bytes | None:
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            return image.tobytes()
    except Exception:
        return None
