"""EXIF, XMP and resolution of pictures.

EXIF is taken apart and put together here, value by value, because Pillow's own round trip changes types, turns letters
outside ASCII into question marks, and loses nested directories in TIFFs.
"""

import io
import re
import struct
from collections.abc import Mapping
from typing import IO, Any, cast

import numpy as np
from PIL import Image
from PIL.ExifTags import IFD, Base

Directory = dict[int, "tuple[int, bytes] | Directory"]  # tag -> type and value, or a directory of its own

BYTE, _ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
# Bytes of one value of each type, and how many of them have their order turned together.
TYPES = {1: (1, 1), 2: (1, 1), 3: (2, 2), 4: (4, 4), 5: (8, 4), 6: (1, 1), 7: (1, 1), 8: (2, 2), 9: (4, 4)}
TYPES |= {10: (8, 4), 11: (4, 4), 12: (8, 8), 13: (4, 4)}
TIFF_HEAD = struct.Struct("<4sI")
_EXIF_MARK = b"Exif\0\0"
_NESTED: dict[int, Any] = {IFD.Exif: {IFD.Interop: {}}, IFD.GPSInfo: {}}

# What describes the photo; all else describes a file's layout, or holds pictures of its own (previews, Photoshop's
# layers), which would show the photo as it was. The thumbnail's directory is the second one and is never read.
_KEPT_TAGS = {
    *(Base.ImageWidth, Base.ImageLength, Base.Orientation, Base.XResolution, Base.YResolution, Base.ResolutionUnit),
    *(Base.Make, Base.Model, Base.Software, Base.ProcessingSoftware, Base.HostComputer, Base.DateTime),
    *(Base.ImageDescription, Base.Artist, Base.Copyright, Base.DocumentName, Base.PageName, Base.IPTCNAA),
    *(Base.XPTitle, Base.XPComment, Base.XPAuthor, Base.XPKeywords, Base.XPSubject, Base.Rating, Base.RatingPercent),
    *(Base.YCbCrPositioning, Base.TimeZoneOffset, IFD.Exif, IFD.GPSInfo),
}
# More than any camera writes, and so little that a hostile file cannot fill the memory.
_MOST_TAGS, _MOST_BYTES = 256, 2**18


def read_exif(image: Image.Image, notes: list[str]) -> Directory:
    """Return what is worth keeping of an image's EXIF: empty where it has none or a damaged one."""
    try:
        if image.format == "TIFF":
            file = cast("Any", image).fp  # None in an image that is loaded already
            directory = _decode_exif(file) if file else {}
            return {tag: value for tag, value in directory.items() if tag not in (Base.ImageWidth, Base.ImageLength)}
        return decode_exif_block(image.info.get("exif"))
    except Exception:
        notes.append("EXIF left out: damaged")
        return {}


def decode_exif_block(block: bytes | None) -> Directory:
    return _decode_exif(io.BytesIO(block.removeprefix(_EXIF_MARK))) if block else {}


def _decode_exif(file: IO[bytes]) -> Directory:
    """Read the first directory of EXIF or TIFF, in either byte order, classic or BigTIFF."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    big = struct.unpack(f"{order}H", head[2:4]) == (43,)
    (start,) = struct.unpack(f"{order}Q", head[8:16]) if big else struct.unpack(f"{order}I", head[4:8])
    directory = _decode_directory(file, start, order, big, _NESTED)
    return {tag: value for tag, value in directory.items() if tag in _KEPT_TAGS}


def _decode_directory(file: IO[bytes], start: int, order: str, big: bool, nested: Mapping[int, Any]) -> Directory:
    """Read one directory and those that `nested` names; values that lie outside the file are passed over."""
    count, entry, pointer = (f"{order}{fields}" for fields in (("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")))
    file.seek(start)
    (tags,) = struct.unpack(count, file.read(struct.calcsize(count)))
    entries = file.read(min(tags, _MOST_TAGS) * struct.calcsize(entry))
    entries = entries[: len(entries) // struct.calcsize(entry) * struct.calcsize(entry)]
    directory: Directory = {}
    for tag, kind, length, field in struct.iter_unpack(entry, entries):
        (place,) = struct.unpack(pointer, field)
        if tag in nested:
            directory[tag] = _decode_directory(file, place, order, big, nested[tag])
            continue
        item, unit = TYPES.get(kind, (1, 1))
        size = item * length
        if kind not in TYPES or size > _MOST_BYTES:
            continue
        data = field[:size]
        if size > len(field):
            file.seek(place)
            data = file.read(size)
        if len(data) == size:
            directory[tag] = (kind, np.frombuffer(data, f"{order}u{unit}").astype(f"<u{unit}").tobytes())
    return directory


def encode_exif(directory: Directory) -> bytes | None:
    return _EXIF_MARK + TIFF_HEAD.pack(b"II*\0", 8) + encode_directory(directory, 8) if directory else None


def encode_directory(directory: Directory, start: int) -> bytes:
    """Write a directory that will lie at byte `start`, its values and inner directories behind it."""
    entries = struct.pack("<H", len(directory))
    values = bytearray()
    values_start = start + 2 + 12 * len(directory) + 4
    for tag, value in sorted(directory.items()):
        place = values_start + len(values)
        if isinstance(value, dict):
            entries += struct.pack("<HHII", tag, LONG, 1, place)
            values += encode_directory(value, place)
        else:
            kind, data = value
            length = len(data) // TYPES[kind][0]
            if len(data) <= 4:
                entries += struct.pack("<HHI4s", tag, kind, length, data)
            else:
                entries += struct.pack("<HHII", tag, kind, length, place)
                values += data
        values += bytes(len(values) % 2)  # a value begins at an even byte
    return entries + bytes(4) + bytes(values)


def take_orientation(exif: Directory) -> int | None:
    """Remove the orientation, as the picture is turned upright, and return it."""
    match exif.pop(Base.Orientation, None):
        case (_, bytes() as data):
            return int.from_bytes(data, "little")
    return None


def declare_srgb(exif: Directory) -> None:
    """Let EXIF, if it speaks of a colour space, say sRGB (DCF's `R98`; Adobe RGB is `R03`)."""
    details = exif.get(IFD.Exif)
    if isinstance(details, dict) and Base.ColorSpace in details:
        details[Base.ColorSpace] = (SHORT, b"\1\0")
        if IFD.Interop in details:
            details[IFD.Interop] = {Base.InteropIndex: (_ASCII, b"R98\0")}


def exif_of_size(exif: bytes | None, size: tuple[int, int]) -> bytes | None:
    """Return EXIF whose statements of the picture's size, if it makes any, are true."""
    directory = decode_exif_block(exif)
    for place, tags in (
        (directory, (Base.ImageWidth, Base.ImageLength)),
        (directory.get(IFD.Exif), (Base.ExifImageWidth, Base.ExifImageHeight)),
    ):
        for tag, side in zip(tags, size, strict=True):
            if isinstance(place, dict) and tag in place:
                place[tag] = (LONG, struct.pack("<I", side))
    return encode_exif(directory)


_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)([1-8])")


def read_xmp(image: Image.Image, notes: list[str]) -> tuple[bytes | None, int | None]:
    """Return an image's XMP packet, its orientation set to upright, and the orientation that it stated."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if not packet:
        return None, None
    xmp = packet.encode() if isinstance(packet, str) else packet
    if not isinstance(xmp, bytes) or b"RDF" not in xmp:
        notes.append("XMP left out: damaged")
        return None, None
    stated = _XMP_ORIENTATION.search(xmp)
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp), int(stated[2]) if stated else None


def read_dpi(image: Image.Image) -> tuple[float, float] | None:
    """Return an image's resolution, if it is one that every format can hold."""
    try:
        # Two decimals undo the rounding of PNG and BMP, which count pixels a metre.
        across, down = (round(float(value), 2) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    # One dot an inch is what Pillow says of a TIFF that says nothing.
    return (across, down) if all(1 < value <= 65_535 for value in (across, down)) else None
