"""Decode TIFFs of gray or a palette with alpha that Pillow cannot decode directly: in separate planes, or 16-bit."""

import io
import struct
from typing import Any, cast

import numpy as np
from PIL import Image
from PIL.ExifTags import Base

from stylekit.images.colors import to_basic_mode
from stylekit.images.exif import LONG, TIFF_HEAD, UNDEFINED, Directory, encode_directory
from stylekit.images.tiff_kinds import check_tiff, has_deep_gray_with_alpha, has_separate_alpha

_GRAY = 1  # photometric interpretation
_TIFF = 42  # the version number in the header
_PREMULTIPLIED = (1,)  # the kinds of extra samples in a TIFF whose colors are multiplied by alpha
_KEPT_TAGS = (
    *(Base.ImageWidth, Base.ImageLength, Base.Orientation, Base.Compression, Base.Predictor, Base.FillOrder),
    *(Base.RowsPerStrip, Base.TileWidth, Base.TileLength, Base.ColorMap),
)


def join_alpha(image: Image.Image) -> Image.Image:
    """Decode a TIFF with alpha that Pillow cannot decode directly, to LA or RGBA; return any other image unchanged.

    Args:
        image: A TIFF, checked by `check_tiff` but not decoded.
    """
    if has_separate_alpha(image):
        color, alpha = (_plane(image, number) for number in range(2))
    elif has_deep_gray_with_alpha(image):
        values = np.asarray(image).view(np.uint16)
        color, alpha = (Image.fromarray(np.ascontiguousarray(values[..., channel])) for channel in range(2))
    else:
        return image
    color, alpha = to_basic_mode(color), to_basic_mode(alpha)
    extra = cast("Any", image).tag_v2[Base.ExtraSamples]
    if extra == _PREMULTIPLIED:
        return Image.merge("La", (color, alpha)).convert("LA")
    if max(extra):
        color.putalpha(alpha)
    return color


def _plane(image: Image.Image, number: int) -> Image.Image:
    """Return one of a TIFF's two planes, decoded as a TIFF with only that plane."""
    tiff = cast("Any", image)
    tags = tiff.tag_v2
    places, lengths = Base.StripOffsets, Base.StripByteCounts
    if Base.TileOffsets in tags:
        places, lengths = Base.TileOffsets, Base.TileByteCounts
    count = len(tags[places]) // 2
    blocks = []
    for place, length in list(zip(tags[places], tags[lengths], strict=True))[number * count :][:count]:
        tiff.fp.seek(place)
        blocks.append(tiff.fp.read(length))
    ends = np.cumsum([TIFF_HEAD.size, *map(len, blocks)])
    numbers = {tag: tags[tag] for tag in _KEPT_TAGS if tag in tags} | {
        Base.BitsPerSample: tags[Base.BitsPerSample][0],
        Base.PhotometricInterpretation: _GRAY if number else tags[Base.PhotometricInterpretation],
        Base.SamplesPerPixel: 1,
        places: ends[:-1],
        lengths: np.diff(ends),
    }
    directory: Directory = {tag: (LONG, np.array(value, "<u4").tobytes()) for tag, value in numbers.items()}
    if Base.JPEGTables in tags:
        directory[Base.JPEGTables] = (UNDEFINED, tags[Base.JPEGTables])
    order = "<" if tags.prefix == b"II" else ">"  # as in the file, because the blocks' values have the same byte order
    start = int(ends[-1])
    head = tags.prefix + struct.pack(f"{order}HI", _TIFF, start)
    file = io.BytesIO(b"".join([head, *blocks, encode_directory(directory, start, order)]))
    plane = Image.open(file, formats=["TIFF"])
    check_tiff(plane)
    plane.load()
    return plane
