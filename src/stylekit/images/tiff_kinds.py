"""Kinds of TIFF: those that Pillow misreads are set right before they are decoded, or refused."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from PIL import Image
from PIL.ExifTags import Base

from stylekit.images.errors import UnsupportedKindError

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
GRAY_KEY = "stylekit gray"  # in Pillow's info, of a `DeepGray`

_SAMPLE_FORMAT, _INK_SET, _EXTRA_SAMPLES = 339, 332, 338
_GRAY_WHITE_IS_0, _GRAY, _PALETTE, _CMYK, _YCBCR = 0, 1, 3, 5, 6
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_ALPHA = {1, 2}  # kinds of extra samples
_SEPARATE = 2  # planar configuration
_COLORS: dict[Any, str] = {
    **{_GRAY_WHITE_IS_0: "gray whose 0 is white", _GRAY: "gray", 2: "RGB", _PALETTE: "palette", 4: "mask"},
    **{_CMYK: "CMYK", _YCBCR: "YCbCr", 8: "CIELAB", 9: "CIELAB", 10: "CIELAB", 32844: "LogL", 32845: "LogLuv"},
    **{32803: "raw sensor data", 34892: "raw sensor data"},
}
_FORMATS = {_SIGNED: "signed ", _FLOAT: "floating-point ", 5: "complex ", 6: "complex "}
# libtiff returns values in the machine's byte order; Pillow expects that of the file.
_NATIVE = {
    **{"I;16S": "I;16NS", "I;16BS": "I;16NS", "I;32S": "I;32NS", "I;32BS": "I;32NS"},
    **{"F;32F": "F;32NF", "F;32BF": "F;32NF"},
}
_READ_LIBTIFF = threading.Lock()  # for a setting that is global to Pillow


@dataclass(frozen=True)
class DeepGray:
    """How values of one channel with more than 8 bits are meant.

    Attributes:
        white: The largest possible value; None for floats, which do not declare it.
        is_unsigned: Whether negative values stand for large ones.
        is_inverted: Whether 0 is white.
    """

    white: int | None
    is_unsigned: bool
    is_inverted: bool


def describe_tiff(file: BinaryIO) -> str | None:
    """Return what kind of pixels a TIFF has, such as `16-bit CIELAB in separate planes`; None if it is corrupt."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    try:
        file.seek(0)
        head = file.read(8)
        if head[2:4] in (b"+\0", b"\0+"):
            head += file.read(8)
        tags = ImageFileDirectory_v2(head)
        file.seek(tags.next)
        tags.load(file)
        return _description(tags) if {Base.ImageWidth, Base.ImageLength} <= set(tags) else None
    except Exception:
        return None


def check_tiff(image: Image.Image) -> None:
    """Make an opened TIFF one that Pillow decodes rightly.

    Raises:
        UnsupportedKindError: If that is impossible.
    """
    tiff = cast("Any", image)
    tags = tiff.tag_v2
    photometric = tags.get(Base.PhotometricInterpretation)
    planes = tags.get(Base.PlanarConfiguration) == _SEPARATE
    if (
        photometric is None
        or (photometric == _CMYK and tags.get(_INK_SET, 1) != 1)
        or (tiff.mode == "L" and _SIGNED in tags.get(_SAMPLE_FORMAT, ()))
        or (tiff.mode in ("LA", "La", "PA", "LAB") and planes)
    ):
        raise UnsupportedKindError("TIFF", _description(tags))
    if planes or photometric == _YCBCR or tags.get(Base.FillOrder, 1) != 1:
        _decode_by_libtiff(tiff)
    if tiff.use_load_libtiff:
        tiff.tile = [
            tile._replace(args=(_NATIVE.get(tile.args[0], tile.args[0]), *tile.args[1:])) for tile in tiff.tile
        ]
    if image.mode in ("P", "PA"):
        _widen_palette(tiff, tags)
    if image.mode == "F" or image.mode.startswith("I"):
        image.info[GRAY_KEY] = _deep_gray(tags)


def _decode_by_libtiff(tiff: Any) -> None:
    """Let libtiff decode a TIFF even if it is uncompressed: Pillow's own decoder is for the usual kinds."""
    from PIL import TiffImagePlugin

    with _READ_LIBTIFF:
        original, TiffImagePlugin.READ_LIBTIFF = TiffImagePlugin.READ_LIBTIFF, True
        try:
            tiff._setup()
        finally:
            TiffImagePlugin.READ_LIBTIFF = original


def _widen_palette(tiff: Any, tags: Mapping[int, Any]) -> None:
    """Take the values of a palette for 8-bit ones, as old programs wrote them, if none has more bits."""
    from PIL import ImagePalette

    colors = tags[Base.ColorMap]
    if max(colors) < 256:
        tiff.palette = ImagePalette.raw("RGB;L", bytes(colors))


def _deep_gray(tags: Mapping[int, Any]) -> DeepGray:
    (bits, *_), (format, *_) = tags[Base.BitsPerSample], tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))
    return DeepGray(
        white=None if format == _FLOAT else 2 ** (bits - (format == _SIGNED)) - 1,
        is_unsigned=format == _UNSIGNED,
        is_inverted=tags[Base.PhotometricInterpretation] == _GRAY_WHITE_IS_0,
    )


def _description(tags: Mapping[int, Any]) -> str:
    from PIL.TiffImagePlugin import COMPRESSION_INFO

    bits = "/".join(map(str, sorted({int(bits) for bits in tags.get(Base.BitsPerSample, (1,))})))
    format = _FORMATS.get(next(iter(tags.get(_SAMPLE_FORMAT, ())), _UNSIGNED), "")
    photometric = tags.get(Base.PhotometricInterpretation, "unknown")
    parts = [f"{bits}-bit {format}{_COLORS.get(photometric, f'photometric {photometric}')}"]
    extra = set(tags.get(_EXTRA_SAMPLES, ()))
    if extra:
        parts.append("with alpha" if extra & _ALPHA else "with extra channels")
    if tags.get(Base.PlanarConfiguration) == _SEPARATE:
        parts.append("in separate planes")
    compression = tags.get(Base.Compression, 1)
    if compression not in COMPRESSION_INFO:
        parts.append(f"with compression {compression}")
    return " ".join(parts)
