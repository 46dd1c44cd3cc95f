"""Prepare the kinds of TIFF that Pillow would misread, or reject them."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from PIL import Image
from PIL.ExifTags import Base

from stylekit.images.errors import DamagedImageError, UnsupportedKindError

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
GRAY_KEY = "stylekit gray"  # key of a `DeepGray` in Pillow's info

_SAMPLE_FORMAT, _INK_SET = 339, 332
_GRAY_WHITE_IS_0, _GRAY, _PALETTE, _CMYK, _YCBCR = 0, 1, 3, 5, 6
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_ALPHA = {1, 2}  # kinds of extra samples (premultiplied or not)
_SEPARATE = 2  # planar configuration
_COLORS: dict[Any, str] = {
    **{_GRAY_WHITE_IS_0: "white-is-zero gray", _GRAY: "gray", 2: "RGB", _PALETTE: "palette", 4: "transparency mask"},
    **{_CMYK: "CMYK", _YCBCR: "YCbCr", 8: "CIELAB", 9: "CIELAB", 10: "CIELAB", 32844: "LogL", 32845: "LogLuv"},
    **{32803: "raw sensor data", 34892: "raw sensor data"},
}
_FORMATS = {_SIGNED: "signed ", _FLOAT: "floating-point ", 5: "complex ", 6: "complex "}
# libtiff returns values in the machine's byte order; Pillow expects the file's byte order.
_NATIVE = {
    **{"I;16S": "I;16NS", "I;16BS": "I;16NS", "I;32S": "I;32NS", "I;32BS": "I;32NS"},
    **{"F;32F": "F;32NF", "F;32BF": "F;32NF"},
}
_READ_LIBTIFF = threading.Lock()  # guards a setting that is global to the process


@dataclass(frozen=True)
class DeepGray:
    """The meaning of gray values with more than 8 bits.

    Attributes:
        white: The largest possible value; None for floats, which have none.
        is_unsigned: Whether the values are unsigned, although Pillow may return large values as negative ones.
        is_inverted: Whether 0 is white.
    """

    white: int | None
    is_unsigned: bool
    is_inverted: bool


@contextlib.contextmanager
def deep_gray_with_alpha() -> Iterator[None]:
    """Let Pillow open TIFFs of 16-bit gray with alpha, as RGBA: two bytes of gray, and two of alpha."""
    from PIL.TiffImagePlugin import OPEN_INFO

    added: dict[Any, Any] = {
        (prefix, _GRAY, (_UNSIGNED,), 1, (16, 16), (extra,)): ("RGBA", "RGBA")
        for prefix in (b"II", b"MM")
        for extra in (0, *_ALPHA)
    }
    added = {key: modes for key, modes in added.items() if key not in OPEN_INFO}
    OPEN_INFO.update(added)
    try:
        yield
    finally:
        for key in added:
            OPEN_INFO.pop(key, None)


def has_deep_gray_with_alpha(image: Image.Image) -> bool:
    """Return whether an opened TIFF is one that `deep_gray_with_alpha` lets Pillow open."""
    return image.mode == "RGBA" and cast("Any", image).tag_v2.get(Base.PhotometricInterpretation) == _GRAY


def has_separate_alpha(image: Image.Image) -> bool:
    """Return whether an opened TIFF has gray or a palette in one plane, and alpha in another."""
    is_separate = cast("Any", image).tag_v2.get(Base.PlanarConfiguration) == _SEPARATE
    return is_separate and (image.mode in ("LA", "La", "PA") or has_deep_gray_with_alpha(image))


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
        return None if _is_truncated(tags) else _description(tags)
    except Exception:
        return None


def _is_truncated(tags: Any) -> bool:
    """Return whether Pillow could not read a directory to its end, where the next directory's offset is stored."""
    return bool(tags.next == tags.offset) or not {Base.ImageWidth, Base.ImageLength} <= set(tags)


def check_tiff(image: Image.Image) -> None:
    """Prepare an opened TIFF so that Pillow decodes it correctly.

    Raises:
        UnsupportedKindError: If Pillow cannot decode it correctly.
        DamagedImageError: If its directory is truncated.
    """
    tiff = cast("Any", image)
    tags = tiff.tag_v2
    photometric = tags.get(Base.PhotometricInterpretation)
    planes = tags.get(Base.PlanarConfiguration) == _SEPARATE
    if (
        photometric is None
        or (photometric == _CMYK and tags.get(_INK_SET, 1) != 1)
        or (tiff.mode == "L" and _SIGNED in tags.get(_SAMPLE_FORMAT, ()))
        or (tiff.mode == "LAB" and planes)
    ):
        raise DamagedImageError if _is_truncated(tags) else UnsupportedKindError("TIFF", _description(tags))
    if planes or has_deep_gray_with_alpha(image) or photometric == _YCBCR or tags.get(Base.FillOrder, 1) != 1:
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
    """Let libtiff decode even uncompressed TIFFs, because Pillow's own decoder handles only common kinds."""
    from PIL import TiffImagePlugin

    with _READ_LIBTIFF:
        original, TiffImagePlugin.READ_LIBTIFF = TiffImagePlugin.READ_LIBTIFF, True
        try:
            tiff._setup()
        finally:
            TiffImagePlugin.READ_LIBTIFF = original


def _widen_palette(tiff: Any, tags: Mapping[int, Any]) -> None:
    """Treat the values of a palette as 8-bit values, which old programs wrote, if none needs more bits."""
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
    photometric = tags.get(Base.PhotometricInterpretation, "missing")
    colors = _COLORS.get(photometric, f"pixels (photometric interpretation {photometric})")
    parts = [f"{bits}-bit {format}{colors}"]
    extra = set(tags.get(Base.ExtraSamples, ()))
    if extra:
        parts.append("with alpha" if extra & _ALPHA else "with extra channels")
    if tags.get(Base.PlanarConfiguration) == _SEPARATE:
        parts.append("in separate planes")
    compression = tags.get(Base.Compression, 1)
    if compression not in COMPRESSION_INFO:
        parts.append(f"with compression {compression}")
    return " ".join(parts)
