"""Read and write EXIF.

EXIF is decoded and encoded here, value by value, because Pillow's round trip changes types, turns non-ASCII letters
into question marks, and loses nested directories in TIFFs.
"""

import io
import struct
from collections.abc import Mapping
from typing import IO, Any, cast

import numpy as np
from PIL import Image
from PIL.ExifTags import IFD, Base

Directory = dict[int, "tuple[int, bytes] | Directory"]  # tag -> type and little-endian value, or a nested directory

BYTE, _ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
# By type: bytes of a value, and bytes of the units in it that have a byte order.
TYPES = {1: (1, 1), 2: (1, 1), 3: (2, 2), 4: (4, 4), 5: (8, 4), 6: (1, 1), 7: (1, 1), 8: (2, 2), 9: (4, 4)}
TYPES |= {10: (8, 4), 11: (4, 4), 12: (8, 8), 13: (4, 4)}
TIFF_HEAD = struct.Struct("<4sI")
_SRGB = (SHORT, b"\1\0")  # value of the color space tag
_EXIF_MARK = b"Exif\0\0"
_PLACES = (0x9214, Base.SubjectLocation)  # SubjectArea and SubjectLocation, in pixels of the original file
_NESTED: dict[int, Any] = {IFD.Exif: {IFD.Interop: {}}, IFD.GPSInfo: {}}

# Tags that describe the photo. Others describe the file's layout, or hold images of the unstylized photo (previews,
# Photoshop's layers). The thumbnail's directory is the second one, which is never read.
_KEPT_TAGS = {
    *(Base.ImageWidth, Base.ImageLength, Base.Orientation, Base.XResolution, Base.YResolution, Base.ResolutionUnit),
    *(Base.Make, Base.Model, Base.Software, Base.ProcessingSoftware, Base.HostComputer, Base.DateTime),
    *(Base.ImageDescription, Base.Artist, Base.Copyright, Base.DocumentName, Base.PageName, Base.IPTCNAA),
    *(Base.XPTitle, Base.XPComment, Base.XPAuthor, Base.XPKeywords, Base.XPSubject, Base.Rating, Base.RatingPercent),
    *(Base.YCbCrPositioning, Base.TimeZoneOffset, IFD.Exif, IFD.GPSInfo),
}
# More than any camera writes, but little enough that a hostile file cannot exhaust memory.
_MOST_TAGS, _MOST_BYTES = 256, 2**18


def read_exif(image: Image.Image, block: bytes | None, notes: list[str]) -> Directory:
    """Return the part of an image's EXIF that is worth keeping; corrupt EXIF is dropped with a note.

    Args:
        image: The image, which is read only if it is a TIFF, because the directory of a TIFF is its EXIF.
        block: The EXIF block of an image in another format; None if it has none.
        notes: Receives a note if the EXIF is corrupt.
    """
    try:
        if image.format == "TIFF":
            file = cast("Any", image).fp  # None after the image has been loaded
            directory = _decode_exif(file) if file else {}
            return {tag: value for tag, value in directory.items() if tag not in (Base.ImageWidth, Base.ImageLength)}
        return decode_exif_block(block)
    except Exception:
        notes.append("EXIF dropped: corrupt")
        return {}


def decode_exif_block(block: bytes | None) -> Directory:
    """Return the directory in a block of EXIF, with or without the leading `Exif`; empty for None."""
    return _decode_exif(io.BytesIO(block.removeprefix(_EXIF_MARK))) if block else {}


def _decode_exif(file: IO[bytes]) -> Directory:
    """Read the tags worth keeping from the first directory of a TIFF, BigTIFF or EXIF block, in either byte order."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    big = struct.unpack(f"{order}H", head[2:4]) == (43,)
    (start,) = struct.unpack(f"{order}Q", head[8:16]) if big else struct.unpack(f"{order}I", head[4:8])
    directory = _decode_directory(file, start, order, big, _NESTED)
    details = directory.get(IFD.Exif)
    for tag in _PLACES:
        if isinstance(details, dict):
            details.pop(tag, None)
    return {tag: value for tag, value in directory.items() if tag in _KEPT_TAGS}


def _decode_directory(file: IO[bytes], start: int, order: str, big: bool, nested: Mapping[int, Any]) -> Directory:
    """Read a directory and the directories that `nested` lists in it, without values that extend beyond the file."""
    count, entry, pointer = (f"{order}{fields}" for fields in (("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")))
    file.seek(start)
    (tags,) = struct.unpack(count, file.read(struct.calcsize(count)))
    entries = file.read(min(tags, _MOST_TAGS) * struct.calcsize(entry))
    entries = entries[: len(entries) // struct.calcsize(entry) * struct.calcsize(entry)]
    directory: Directory = {}
    for tag, kind, length, field in struct.iter_unpack(entry, entries):
        (offset,) = struct.unpack(pointer, field)
        if tag in nested:
            directory[tag] = _decode_directory(file, offset, order, big, nested[tag])
            continue
        item, unit = TYPES.get(kind, (1, 1))
        size = item * length
        if kind not in TYPES or size > _MOST_BYTES:
            continue
        data = field[:size]
        if size > len(field):
            file.seek(offset)
            data = file.read(size)
        if len(data) == size:
            directory[tag] = (kind, np.frombuffer(data, f"{order}u{unit}").astype(f"<u{unit}").tobytes())
    return directory


def encode_exif(directory: Directory) -> bytes | None:
    """Return a directory as a block of EXIF; None if the directory is empty."""
    return _EXIF_MARK + TIFF_HEAD.pack(b"II*\0", 8) + encode_directory(directory, 8) if directory else None


def encode_directory(directory: Directory, start: int, order: str = "<") -> bytes:
    """Encode a directory, followed by its values and nested directories.

    Args:
        directory: The directory.
        start: The offset where it is to be stored.
        order: Byte order, `<` or `>`.
    """
    entries = struct.pack(f"{order}H", len(directory))
    values = bytearray()
    values_start = start + 2 + 12 * len(directory) + 4
    for tag, value in sorted(directory.items()):
        offset = values_start + len(values)
        if isinstance(value, dict):
            entries += struct.pack(f"{order}HHII", tag, LONG, 1, offset)
            values += encode_directory(value, offset, order)
        else:
            kind, data = value
            item, unit = TYPES[kind]
            length = len(data) // item
            data = np.frombuffer(data, f"<u{unit}").astype(f"{order}u{unit}").tobytes()
            if len(data) <= 4:
                entries += struct.pack(f"{order}HHI4s", tag, kind, length, data)
            else:
                entries += struct.pack(f"{order}HHII", tag, kind, length, offset)
                values += data
        values += bytes(len(values) % 2)  # values start at even offsets
    return entries + bytes(4) + bytes(values)


def take_orientation(exif: Directory) -> int | None:
    """Remove the orientation from EXIF and return it; the image will be rotated upright."""
    match exif.pop(Base.Orientation, None):
        case (_, bytes() as data):
            return int.from_bytes(data, "little")
    return None


def is_adobe_rgb(exif: Directory) -> bool:
    """Return whether EXIF declares Adobe RGB as in DCF: an uncalibrated color space, and the index `R03`."""
    details = exif.get(IFD.Exif)
    if not isinstance(details, dict) or details.get(Base.ColorSpace) == _SRGB:
        return False
    interoperability = details.get(IFD.Interop)
    index = interoperability.get(Base.InteropIndex) if isinstance(interoperability, dict) else None
    return isinstance(index, tuple) and index[1].startswith(b"R03")


def declare_srgb(exif: Directory) -> None:
    """Set the color space to sRGB if the EXIF declares one (DCF's `R98`; Adobe RGB is `R03`)."""
    details = exif.get(IFD.Exif)
    if isinstance(details, dict) and Base.ColorSpace in details:
        details[Base.ColorSpace] = _SRGB
        if IFD.Interop in details:
            details[IFD.Interop] = {Base.InteropIndex: (_ASCII, b"R98\0")}


def exif_of_size(exif: bytes | None, size: tuple[int, int]) -> bytes | None:
    """Return EXIF with its image width and height set to `size`, if it declares them."""
    directory = decode_exif_block(exif)
    for part, tags in (
        (directory, (Base.ImageWidth, Base.ImageLength)),
        (directory.get(IFD.Exif), (Base.ExifImageWidth, Base.ExifImageHeight)),
    ):
        for tag, side in zip(tags, size, strict=True):
            if isinstance(part, dict) and tag in part:
                part[tag] = (LONG, struct.pack("<I", side))
    return encode_exif(directory)
