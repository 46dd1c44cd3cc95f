"""Check PNGs chunk by chunk, and repair those that Pillow would reject or misread."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_TEXT = 2**25  # bytes of a text or color profile, decompressed
NARROW_KEY = "stylekit narrow range"  # in Pillow's info, of an image whose black is 16 and whose white is 235

Info = dict[str | tuple[int, int], Any]  # as Pillow types it

_CHUNK = struct.Struct(">I4s")
_BLOCK = 2**20  # bytes read at once
_ANCILLARY = 0x20  # bit of a chunk's name
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_USED_TEXTS = (b"XML:com.adobe.xmp\0", b"stylekit\0", b"Raw profile type ")
_SHORT = 1000  # bytes; zlib cannot compress a text over Pillow's limit to fewer
_GRAY_STEPS = {"L;2": 85, "L;4": 17}  # factors by which Pillow multiplies gray of 2 and 4 bits
_UNSPECIFIED = (2, 2)  # code points of color primaries and transfer function
_NAMES = {b"iCCP": "color profile", b"eXIf": "EXIF", b"tRNS": "transparency", b"acTL": "animation"}


@dataclass(frozen=True)
class _Chunk:
    """A chunk of a PNG.

    Attributes:
        name: The four-letter type of the chunk.
        start: The offset in the file at which the chunk starts.
        end: The offset in the file at which the checksum ends.
        is_intact: Whether the checksum is correct.
        data: The first bytes of the data.
    """

    name: bytes
    start: int
    end: int
    is_intact: bool
    data: bytes


def repair_png(file: BinaryIO, notes: list[str]) -> tuple[BinaryIO, Info]:
    """Remove the parts of a PNG that would keep Pillow from reading it: huge texts, and damage outside the pixels.

    Args:
        file: The PNG, at its start. The position is restored afterwards.
        notes: Receives notes about damage and about unusual colors.

    Returns:
        The file, or an intact copy in memory; and entries to add to Pillow's `info`, from the `cICP` chunk.

    Raises:
        ValueError: If a chunk that cannot be left out is damaged.
    """
    dropped: list[_Chunk] = []
    info: Info = {}
    for chunk in _chunks(file):
        if _is_dropped(file, chunk, notes):
            dropped.append(chunk)
        elif chunk.name == b"cICP" and len(chunk.data) == 4:
            info = _declared_colors(chunk.data, notes)
    file.seek(0)
    return (_without(file, dropped) if dropped else file), info


def _declared_colors(cicp: bytes, notes: list[str]) -> Info:
    """Return entries for Pillow's `info` from a `cICP` chunk, which takes precedence over a color profile."""
    *code_points, matrix, is_full_range = cicp
    if matrix != 0 or is_full_range > 1:  # PNG supports only RGB
        notes.append("color space ignored: invalid cICP chunk")
        return {}
    info: Info = {}
    if tuple(code_points) != _UNSPECIFIED:
        info |= {"cicp": tuple(code_points), "icc_profile": None}
    if not is_full_range:
        notes.append("narrow-range (video) values expanded to full range")
        info[NARROW_KEY] = True
    return info


def _chunks(file: BinaryIO) -> Iterator[_Chunk]:
    """Yield the complete chunks of a PNG, up to its end or the point where it is truncated."""
    position = file.seek(len(PNG_SIGNATURE))
    while len(head := file.read(_CHUNK.size)) == _CHUNK.size:
        length, name = _CHUNK.unpack(head)
        checksum, data, left = zlib.crc32(name), b"", length
        while left and (block := file.read(min(left, _BLOCK))):
            checksum, left = zlib.crc32(block, checksum), left - len(block)
            data = data or block[:_SHORT]
        stored = file.read(4)
        if left or len(stored) < 4:
            return
        yield _Chunk(name, position, file.tell(), checksum == int.from_bytes(stored, "big"), data)
        if name == b"IEND":
            return
        position = file.tell()


def _is_dropped(file: BinaryIO, chunk: _Chunk, notes: list[str]) -> bool:
    """Return whether to leave out a chunk, and add notes about damage."""
    if chunk.name in _TEXTS and not chunk.data.startswith(_USED_TEXTS):
        return not chunk.is_intact or len(chunk.data) >= _SHORT
    if not chunk.is_intact:
        return _is_dispensable(chunk.name, notes)
    if chunk.name in (b"iCCP", *_TEXTS) and _inflates_too_far(file, chunk):
        notes.append(f"{_NAMES.get(chunk.name, 'text')} dropped: too large")
        return True
    return False


def _is_dispensable(name: bytes, notes: list[str]) -> bool:
    """Return whether a chunk with a wrong checksum can be left out."""
    if name == b"IEND":
        return False
    if name == b"IDAT":
        note = "the pixels may be damaged: checksum mismatch"
        if note not in notes:
            notes.append(note)
        return False
    if name[0] & _ANCILLARY:
        if name in _NAMES or name in _TEXTS:
            notes.append(f"{_NAMES.get(name, 'text')} dropped: checksum mismatch")
        return True
    raise ValueError(f"checksum mismatch in {name.decode('latin-1')}")


def _inflates_too_far(file: BinaryIO, chunk: _Chunk) -> bool:
    """Return whether a color profile or text decompresses to more bytes than Pillow may read."""
    back = file.tell()
    file.seek(chunk.start + _CHUNK.size)
    data = file.read(chunk.end - chunk.start - _CHUNK.size - 4)
    file.seek(back)
    compressed = _compressed(chunk.name, data)
    if compressed is None:
        return len(data) > MOST_TEXT
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(compressed, MOST_TEXT)
    except zlib.error:  # Pillow ignores corrupt data
        return False
    return bool(inflater.unconsumed_tail)


def _compressed(name: bytes, data: bytes) -> bytes | None:
    """Return the compressed part of a color profile or text; None if it has none."""
    content = data.partition(b"\0")[2]
    if name == b"tEXt" or (name == b"iTXt" and not content.startswith(b"\1")):
        return None
    return content[2:].split(b"\0", 2)[-1] if name == b"iTXt" else content[1:]


def _without(file: BinaryIO, chunks: list[_Chunk]) -> BinaryIO:
    """Copy a file into memory, leaving out some chunks."""
    copy = io.BytesIO()
    for chunk in chunks:
        copy.write(file.read(chunk.start - file.tell()))
        file.seek(chunk.end)
    copy.write(file.read())
    copy.seek(0)
    return copy


def settle_transparency(image: Image.Image, file: BinaryIO) -> None:
    """Correct a PNG's transparent color in modes where Pillow compares it with rescaled or truncated values.

    Args:
        image: The PNG, opened but not decoded; decoded afterwards if it has 16 bits per channel.
        file: The file that it was opened from.
    """
    (tile,) = cast("Any", image).tile
    color = image.info.get("transparency")
    if isinstance(color, int):
        image.info["transparency"] = color * _GRAY_STEPS.get(tile.args, 1)
    elif isinstance(color, tuple) and tile.args == "RGB;16B":
        place = file.tell()
        file.seek(0)
        with Image.open(file, formats=["PNG"]) as lower:
            cast("Any", lower).tile = [tile._replace(args="RGB;16L")]  # the other byte of each value
            lower_bytes = np.asarray(lower)
        file.seek(place)
        del image.info["transparency"]
        upper_bytes = np.asarray(image)
        opaque = np.zeros(upper_bytes.shape[:2], bool)
        for channel, value in enumerate(color):
            opaque |= (upper_bytes[..., channel] != value >> 8) | (lower_bytes[..., channel] != value & 255)
        image.putalpha(Image.fromarray(opaque.astype(np.uint8) * np.uint8(255)))
