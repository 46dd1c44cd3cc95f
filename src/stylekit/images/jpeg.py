"""Repair JPEGs that have leading line breaks or no end marker, and detect truncated JPEGs that Pillow accepts."""

import hashlib
import io
import re
from typing import BinaryIO

from PIL import Image

_START, _END = b"\xff\xd8\xff", b"\xff\xd9"
_PADDING = b"\0\xff"  # bytes that interrupted copies and memory cards leave at the end of a file
_LEAST_PADDING = 16  # the fewest bytes at the end of a file that count as padding
_GRAY = range(126, 131)  # around 128, which libjpeg uses for missing pixels
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # except restart markers
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")  # numbered from 0 to 7, repeatedly
_SCAN, _END_OF_IMAGE = 0xDA, 0xD9


def skip_blanks(file: BinaryIO) -> BinaryIO:
    """Return a JPEG without the line breaks that downloads can have before it; return any other file unchanged."""
    head = file.read(12)
    file.seek(0)
    if not head.lstrip().startswith(_START) or head.startswith(_START):
        return file
    return io.BytesIO(file.read().lstrip())


def complete_jpeg(file: BinaryIO) -> BinaryIO | None:
    """Add the missing end marker to a JPEG; return None if the file has one, lacks pixels, or is not a JPEG."""
    data = _without_padding(file)
    if not data.startswith(_START) or data.endswith(_END) or not _has_all_pixels(data):
        return None
    return io.BytesIO(data + _END)


def check_jpeg(image: Image.Image, file: BinaryIO, notes: list[str]) -> None:
    """Check that a JPEG that Pillow has decoded without an error is complete.

    Pillow does not notice missing pixels if an end marker or padding follows; the rest of the image is then gray. To
    save time, only images whose last pixel is gray, and files that end with padding, are decoded again.

    Args:
        image: The decoded image.
        file: The file of the image.
        notes: Receives a note if the last scans of a progressive JPEG are missing.

    Raises:
        OSError: If pixels are missing.
    """
    is_padded = _is_padded(file)
    last = image.getpixel((image.width - 1, image.height - 1))
    is_gray = all(value in _GRAY for value in (last if isinstance(last, tuple) else (last,)))
    is_progressive = bool(image.info.get("progressive"))
    if not (is_padded or is_gray or is_progressive):
        return
    data = _without_padding(file)
    if (is_gray or (is_padded and not data.endswith(_END))) and not _has_all_pixels(data.removesuffix(_END)):
        raise OSError("The image is truncated.")
    if is_progressive and not _has_all_scans(data):
        notes.append("the image may be blurred: its last scans are missing")


def _is_padded(file: BinaryIO) -> bool:
    file.seek(-min(_LEAST_PADDING, file.seek(0, io.SEEK_END)), io.SEEK_END)
    return not file.read().strip(_PADDING)


def _without_padding(file: BinaryIO) -> bytes:
    is_padded = _is_padded(file)
    file.seek(0)
    return file.read().rstrip(_PADDING) if is_padded else file.read()


def _has_all_pixels(data: bytes) -> bool:
    """Return whether a JPEG without its end marker is otherwise complete.

    A decoder takes the bytes that follow for missing pixels, so the JPEG is decoded several times, with different bytes
    at the end.
    """
    if not _has_all_scans(data):
        return False
    restarts = _RESTART.findall(data, data.rfind(bytes([0xFF, _SCAN])))
    restart = bytes([0xFF, 0xD0 + len(restarts) % 8])
    fillers = (b"", *(64 * byte + restart + 64 * byte for byte in (b"\x55", b"\xaa")))
    hashes = (_decoded_hash(data + filler + _END) for filler in fillers)
    first = next(hashes)
    return first is not None and all(other == first for other in hashes)


def _decoded_hash(data: bytes) -> bytes | None:
    """Return a hash of a JPEG's pixels, to save memory; None if the JPEG cannot be decoded."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            return hashlib.sha256(image.tobytes()).digest()
    except Exception:
        return None


def _has_all_scans(data: bytes) -> bool:
    """Return whether a JPEG has a scan for each bit of each coefficient of each channel.

    A progressive JPEG stores an image in several scans, from coarse to fine. Whether the last scan is complete is not
    checked.
    """
    missing_bits: dict[int, list[int]] = {}
    position = 2
    while found := _MARKER.search(data, position):
        marker, start = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            break
        segment = data[start + 2 : start + int.from_bytes(data[start : start + 2], "big")]
        if marker in _FRAMES and not missing_bits:
            missing_bits = {channel: [16] * 64 for channel in segment[6::3]}
        elif marker == _SCAN and len(segment) > 3:
            first, last, bits = segment[-3], segment[-2], segment[-1] & 15
            for channel in segment[1 : 1 + 2 * segment[0] : 2]:
                missing_bits.get(channel, [])[first : last + 1] = [bits] * (last + 1 - first)
        position = start + 2 + len(segment)
    return bool(missing_bits) and not any(map(any, missing_bits.values()))
