"""Metadata of AVIF and HEIC files, read from their boxes (ISO 14496-12, ISO 23008-12)."""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

AVIF_BRANDS = {b"avif", b"avis"}
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}

_MOST_BYTES = 2**21  # of a box or packet
_XMP_TYPE = b"application/rdf+xml"


def declared_colors(file: BinaryIO) -> tuple[int, int] | None:
    """Return the code points (ITU-T H.273) of an image's color primaries and transfer function.

    Args:
        file: The file, at its start. The position is restored afterwards.

    Returns:
        The code points of the primary image; None if the image declares none.
    """
    try:
        meta = _meta(file)
        pitm, iprp = meta[b"pitm"], dict(_boxes(meta[b"iprp"]))
        item = _number(io.BytesIO(pitm[4:]), 4 if pitm[0] else 2)
        properties = list(_boxes(iprp[b"ipco"]))
        for place in _associations(iprp[b"ipma"], item):
            if 0 < place <= len(properties):
                name, content = properties[place - 1]
                if name == b"colr" and content.startswith(b"nclx"):
                    primaries, transfer = struct.unpack_from(">HH", content, 4)
                    return primaries, transfer
    except (EOFError, IndexError, KeyError, struct.error):
        pass
    finally:
        file.seek(0)
    return None


def find_xmp(file: BinaryIO) -> bytes | None:
    """Return an image's XMP packet; None if it has none.

    Args:
        file: The file, at its start.
    """
    try:
        meta = _meta(file)
        iinf = meta[b"iinf"]
        entries = _boxes(iinf[8 if iinf[0] else 6 :])
        items = {_item_number(entry) for name, entry in entries if name == b"infe" and _XMP_TYPE in entry}
        for item, offset, length in _places(meta[b"iloc"]):
            if item in items and length <= _MOST_BYTES:
                file.seek(offset)
                return file.read(length)
    except (EOFError, IndexError, KeyError, struct.error):
        pass
    return None


def _meta(file: BinaryIO) -> dict[bytes, bytes]:
    """Return the contents of a file's metadata boxes by their names."""
    content = next((content for name, content in _boxes(file) if name == b"meta"), b"")
    return dict(_boxes(content[4:]))


def _item_number(infe: bytes) -> int:
    return _number(io.BytesIO(infe[4:]), 4 if infe[0] > 2 else 2)


def _associations(ipma: bytes, item: int) -> list[int]:
    """Return the positions, from 1, of an item's properties in the list of properties."""
    version, is_wide = ipma[0], ipma[3] & 1
    data = io.BytesIO(ipma[4:])
    for _ in range(_number(data, 4)):
        number = _number(data, 4 if version else 2)
        values = [_number(data, 2 if is_wide else 1) for _ in range(_number(data, 1))]
        if number == item:
            return [value & (0x7FFF if is_wide else 0x7F) for value in values]
    return []


def _places(iloc: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield number, offset and length of each item whose first part is in the file itself."""
    version = iloc[0]
    data = io.BytesIO(iloc[6:])
    offset_size, length_size, base_size, index_size = iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4, iloc[5] & 15
    for _ in range(_number(data, 4 if version > 1 else 2)):
        item = _number(data, 4 if version > 1 else 2)
        method = _number(data, 2) & 15 if version else 0
        _number(data, 2)
        base = _number(data, base_size)
        for part in range(_number(data, 2)):
            _number(data, index_size if version else 0)
            offset, length = base + _number(data, offset_size), _number(data, length_size)
            if not part and not method:
                yield item, offset, length


def _number(data: BinaryIO, size: int) -> int:
    content = data.read(size)
    if len(content) < size:
        raise EOFError
    return int.from_bytes(content, "big")


def _boxes(data: BinaryIO | bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of each box that is small enough for metadata."""
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    while len(head := file.read(8)) == 8:
        size, name = struct.unpack(">I4s", head)
        length = size - 8
        if size == 1:
            length = _number(file, 8) - 16
        elif size == 0:  # up to the end
            length = _MOST_BYTES
        if length < 0:
            return
        if length <= _MOST_BYTES:
            yield name, file.read(length)
        else:
            file.seek(length, io.SEEK_CUR)
