"""Pictures between files and arrays: whatever a photo's file holds comes in as upright sRGB and goes out as it came.

Metadata travels as bytes. EXIF is taken apart and put together here, value by value, because Pillow's own round trip
changes types, turns letters outside ASCII into question marks, and does not reach into compressed TIFFs.
"""

import contextlib
import importlib
import io
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import IFD, Base

from stylekit.errors import ConfigError, ImageError
from stylekit.paths import atomic_write


@dataclass(frozen=True)
class OutputFormat:
    """What one of the formats that can be written is like.

    Attributes:
        pillow: Pillow's name of it.
        suffix: its usual suffix.
        longest_side: pixels that a side can have.
        holds_alpha: whether it has a place for transparency.
        most_metadata: bytes that EXIF, and XMP, can have; None for any number.
    """

    pillow: str
    suffix: str
    longest_side: int = 2**31 - 1
    holds_alpha: bool = True
    most_metadata: int | None = None


FORMATS: dict[str, OutputFormat] = {
    # libjpeg's limits: the side, and a segment of 65,533 bytes less XMP's heading of 29.
    "jpeg": OutputFormat("JPEG", ".jpg", longest_side=65_500, holds_alpha=False, most_metadata=65_504),
    "png": OutputFormat("PNG", ".png"),
    "webp": OutputFormat("WEBP", ".webp", longest_side=16_383),
    "tiff": OutputFormat("TIFF", ".tif"),
    "bmp": OutputFormat("BMP", ".bmp", holds_alpha=False, most_metadata=0),
    "avif": OutputFormat("AVIF", ".avif", longest_side=65_536),
    "heic": OutputFormat("HEIF", ".heic", longest_side=65_535),
}
_SUFFIX_FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "jpeg"),
    ".png": "png",
    ".webp": "webp",
    **dict.fromkeys((".tif", ".tiff"), "tiff"),
    ".bmp": "bmp",
    ".avif": "avif",
    **dict.fromkeys((".heic", ".heif"), "heic"),
}
READABLE_SUFFIXES: frozenset[str] = frozenset({*_SUFFIX_FORMATS, ".gif"})

# Pillow's decoders that a file may meet. The others stay out of reach: EPS runs Ghostscript, and few are as well tried.
_DECODERS = ("Jpeg", "Png", "WebP", "Tiff", "Bmp", "Gif", "Avif")
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_RAISE_LIMIT = "If you trust the file, raise --max-pixels."
_READABLE = "Readable are JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF and HEIC."

_HIDDEN_BELOW = 16  # alpha below which nobody sees a pixel's own colour, so that it may be anything


@dataclass(frozen=True)
class Metadata:
    """What a result inherits from its photo.

    Attributes:
        exif: EXIF, beginning with `Exif\\0\\0`, without orientation and thumbnail.
        xmp: the XMP packet, its orientation set to upright.
        icc_profile: a profile that describes sRGB; None where the photo had none.
        dpi: horizontal and vertical pixels an inch.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True)
class Photo:
    """A picture with what its file said about it.

    Attributes:
        pixels: uint8 of shape (H, W, 3), upright, sRGB. Where `alpha` hides them, colours continue their surroundings.
        alpha: uint8 of shape (H, W), 0 transparent to 255 opaque; None where the file has no transparency. Both arrays
            are read-only as they come from a reader.
        metadata: what a result inherits.
        notes: what the reader left out or changed, a short phrase each.
    """

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    metadata: Metadata = Metadata()
    notes: tuple[str, ...] = ()


def format_of_suffix(suffix: str) -> str:
    """Return the format that a suffix asks for: `.JPG` gives `jpeg`.

    Raises:
        ConfigError: if pictures of that suffix cannot be written.
    """
    try:
        return _SUFFIX_FORMATS[suffix.lower()]
    except KeyError:
        writable = ", ".join(output.suffix for output in FORMATS.values())
        raise ConfigError(f"Pictures cannot be written as {suffix!r}.", f"Use one of {writable}.") from None


def output_format(path: Path) -> str:
    """Return the format in which the result for an input is written, unless another one is asked for.

    It is the input's own, but PNG for GIF (256 colours hold no painting), and JPEG for HEIC (few programs read it) and
    for suffixes that tell nothing.
    """
    suffix = path.suffix.lower()
    if suffix == ".gif":
        return "png"
    own = _SUFFIX_FORMATS.get(suffix, "jpeg")
    return "jpeg" if own == "heic" else own


def output_suffix(path: Path, format: str | None) -> str:
    """Return the suffix of the result for an input: the input's own, lower-cased, if it stands for the format.

    Args:
        path: the input.
        format: the result's format; None takes that of `output_format`.
    """
    format = format or output_format(path)
    own = path.suffix.lower()
    return own if _SUFFIX_FORMATS.get(own) == format else FORMATS[format].suffix


def load_photo(path: Path, *, max_pixels: int, max_size: int | None = None) -> Photo:
    """Read a picture, by its content and not its suffix; of several frames or pages the first.

    Args:
        path: the file.
        max_pixels: pixels above which it is taken for a decompression bomb and not decoded.
        max_size: longer side to which a larger picture is reduced; None keeps its size.

    Returns:
        The picture, upright and in sRGB.

    Raises:
        ImageError: if it cannot be read; damaged metadata and colour profiles are left out instead, with a note.
    """
    with _read_errors(path.name), _pillow.set_for(max_pixels), _open(path) as image:
        if image.width * image.height > max_pixels:
            sides = f"{image.width:,} × {image.height:,}"
            raise ImageError(f"{path.name} has {sides} pixels, over the limit of {max_pixels:,}.", _RAISE_LIMIT)
        notes = _frame_notes(image)
        if max_size is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (2 * max_size, 2 * max_size))  # decodes at 1/2 to 1/8 and leaves the rest to LANCZOS
        return _develop(image, max_size, notes)


def photo_from_image(image: Image.Image, *, max_size: int | None = None) -> Photo:
    """Take a Pillow image, of any mode, as `load_photo` takes a file; the image is not changed.

    Args:
        image: the picture; of several frames the current one.
        max_size: longer side to which a larger picture is reduced; None keeps its size.

    Raises:
        ImageError: if its file cannot be decoded, or it has no pixels.
    """
    pixels = image.width * image.height
    with _read_errors("The picture"), _pillow.set_for(pixels):
        return _develop(image, max_size, [])


def photo_to_image(photo: Photo) -> Image.Image:
    """Return a picture as a Pillow image, RGB or RGBA, with its metadata in `info` where Pillow keeps it."""
    image = Image.fromarray(photo.pixels)
    if photo.alpha is not None:
        image.putalpha(Image.fromarray(photo.alpha))
    info = {
        "exif": _exif_of_size(photo.metadata.exif, image.size),
        "xmp": photo.metadata.xmp,
        "icc_profile": photo.metadata.icc_profile,
        "dpi": photo.metadata.dpi,
    }
    image.info = {key: value for key, value in info.items() if value}
    return image


def save_photo(photo: Photo, path: Path, *, format: str, quality: int, strip_metadata: bool = False) -> tuple[str, ...]:
    """Write a picture, whole or not at all, with its metadata.

    EXIF states the size of `pixels`, which may differ from that of the photo that was read.

    Args:
        photo: the picture.
        path: the file to write; its suffix does not matter.
        format: a key of `FORMATS`.
        quality: 1 to 100, for the formats that know one.
        strip_metadata: whether EXIF and XMP are left out. Colour profile and resolution stay: they say how to show it.

    Returns:
        What the format could not hold, a short phrase each.

    Raises:
        ConfigError: if there is no such format.
        ImageError: if the format cannot hold a picture of that size, or the file cannot be written.
    """
    output = FORMATS.get(format)
    if output is None:
        raise ConfigError(f"Unknown format {format!r}.", f"Use one of {', '.join(FORMATS)}.")
    if format == "heic":
        _register_heif(path.name)
    image = photo_to_image(photo)
    if max(image.size) > output.longest_side:
        raise ImageError(
            f"{path.name} cannot be written: {format.upper()} holds at most {output.longest_side:,} pixels a side, "
            f"not {image.width:,} × {image.height:,}.",
            "Write it as PNG or TIFF, or reduce it.",
        )
    if strip_metadata:
        image.info = {key: value for key, value in image.info.items() if key not in ("exif", "xmp")}
    notes = _leave_out(image.info, format)
    if photo.alpha is not None and not output.holds_alpha:
        image = _on_white(image)
        notes.append(f"transparency laid on white: {format.upper()} has none")
    with _write_errors(path), _pillow.set_for(image.width * image.height), atomic_write(path) as temporary:
        _encode(image, temporary, format, quality)
    return tuple(notes)


# --- Pillow's settings, and its errors as ours


class _PillowSettings:
    """Pillow's pixel limit and its warnings, changed while any of our threads needs it and then put back.

    Both belong to the whole process, and a thread that restores what it found may restore another one's change (so does
    `warnings.catch_warnings`). Therefore the first thread in notes what it finds, and the last one out restores it. In
    between the limit is never lower than the program's own, and only Pillow's warnings are silent.
    """

    _SILENCE = ("ignore", None, Warning, re.compile(r"PIL\."), 0)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limits: list[int] = []
        self._found: int | None = None

    @contextlib.contextmanager
    def set_for(self, max_pixels: int) -> Iterator[None]:
        """Keep Pillow from refusing or warning about pictures of up to `max_pixels`; the caller checks the size."""
        with self._lock:
            if not self._limits:
                self._found = Image.MAX_IMAGE_PIXELS
                self._filters().insert(0, self._SILENCE)
            self._limits.append(max_pixels)
            self._set_limit()
        try:
            yield
        finally:
            with self._lock:
                self._limits.remove(max_pixels)
                self._set_limit()
                if not self._limits:
                    with contextlib.suppress(ValueError):  # the program may have replaced the filters meanwhile
                        self._filters().remove(self._SILENCE)

    def _set_limit(self) -> None:
        Image.MAX_IMAGE_PIXELS = None if self._found is None else max(self._found, *self._limits, 0)

    @staticmethod
    def _filters() -> list[object]:
        # Not `warnings.filterwarnings`: each call would let every other library's one-time warnings appear anew.
        return cast("list[object]", warnings.filters)


_pillow = _PillowSettings()


@contextlib.contextmanager
def _read_errors(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into an `ImageError` about `name`; hostile files make them raise anything."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(*_read_failure(name, error)) from error


def _read_failure(name: str, error: Exception) -> tuple[str, str]:
    """Return message and hint for a picture that could not be read."""
    match error:
        case Image.DecompressionBombError():
            return f"{name} has far more pixels than the limit.", _RAISE_LIMIT
        case MemoryError():
            return f"There is too little memory to read {name}.", "Close other programs, or reduce the picture first."
        case UnidentifiedImageError():
            return f"{name} is not a picture that can be read.", _READABLE
        case FileNotFoundError():
            return f"{name} does not exist.", "Check the path."
        case PermissionError():
            return f"{name} may not be read: permission denied.", "Check the file's permissions."
        case OSError(errno=int()):
            return f"{name} cannot be read: {error.strerror}.", ""
        case _ if isinstance(error, EOFError) or "truncated" in str(error).lower():
            return f"{name} is cut short (truncated).", "Copy or download it again."
    return f"{name} is damaged: {_reason(error)}.", "Open it in another program and save it anew."


@contextlib.contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    """Turn what goes wrong in writing `path` into an `ImageError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or _reason(error)
        raise ImageError(f"Cannot write {path}: {reason}.", "Check the folder's permissions and free space.") from error
    except Exception as error:
        raise ImageError(f"Cannot write {path}: {_reason(error)}.", "Try another format.") from error


def _reason(error: Exception) -> str:
    """Return an exception's first line, or its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


# --- Reading


def _open(path: Path) -> Image.Image:
    """Open a picture with one of the decoders that are allowed; its pixels are not decoded yet."""
    if path.exists() and not path.is_file():
        raise ImageError(f"{path.name} is {'a folder' if path.is_dir() else 'a device'}, not a picture.", _READABLE)
    with path.open("rb") as file:
        head = file.read(12)
    if not head:
        raise ImageError(f"{path.name} is empty (0 bytes).", "Copy or download it again.")
    for decoder in _DECODERS:  # by name: Pillow would import all of its forty plug-ins
        importlib.import_module(f"PIL.{decoder}ImagePlugin")
    formats = [decoder.upper() for decoder in _DECODERS]
    if head[4:8] == b"ftyp" and head[8:] in _HEIF_BRANDS:
        _register_heif(path.name)
        formats.append("HEIF")
    return Image.open(path, formats=formats)


def _register_heif(name: str) -> None:
    """Give Pillow the HEIC format, which is an extra.

    Raises:
        ImageError: if the extra is not installed.
    """
    try:
        import pillow_heif
    except ImportError:
        raise ImageError(f"{name} is HEIC, which needs an extra.", "pip install 'neural-stylekit[heif]'") from None
    pillow_heif.register_heif_opener()


def _frame_notes(image: Image.Image) -> list[str]:
    """Say which of several frames or pages is taken; a camera's MPO holds but one picture and its helpers."""
    try:
        frames = getattr(image, "n_frames", 1)
    except Exception:
        image.seek(0)  # where the damage is, the first frame would be lost
        return ["only the first frame is taken: a later one is damaged"]
    if frames == 1 or image.format == "MPO":
        return []
    if image.format == "TIFF":
        return [f"several pages: only the first of {frames} is taken"]
    if image.format == "HEIF":
        return [f"several pictures: only the main one of {frames} is taken"]
    return [f"animated: only the first of {frames} frames is taken"]


def _reduced(size: tuple[int, int], max_size: int | None) -> tuple[int, int]:
    """Return the size at which the longer side has at most `max_size` pixels, and the shorter one at least 1."""
    if max_size is None or max(size) <= max_size:
        return size
    scale = max_size / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _develop(image: Image.Image, max_size: int | None, notes: list[str]) -> Photo:
    """Decode an image and make a photo of it; `notes` is what is to be said already."""
    if min(image.size) < 1:
        raise ImageError("The picture has no pixels.", "Check its width and height.")
    if image.format == "PNG":
        image.load()  # its metadata may come after its pixels
    exif = _read_exif(image, notes)  # before a TIFF's pixels are decoded, which closes the file
    image.load()
    xmp, orientation = _read_xmp(image, notes)

    picture = _plain(image)
    size = _reduced(picture.size, max_size)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    turn = _TURNS.get(_take_orientation(exif) or orientation or 1)
    if turn is not None and image.format != "TIFF":  # which Pillow turns itself
        picture = picture.transpose(turn)

    alpha = picture.getchannel("A") if picture.mode in ("LA", "RGBA") else None
    colors = picture.convert(picture.mode.removesuffix("A")) if alpha is not None else picture
    icc_profile = image.info.get("icc_profile")
    rgb, srgb_profile = _to_srgb(colors, icc_profile, notes)
    if srgb_profile not in (None, icc_profile):
        _declare_srgb(exif)
    if alpha is not None:
        rgb = _fill_hidden(rgb, alpha.point(lambda value: 255 * (value >= _HIDDEN_BELOW)))
    return Photo(
        pixels=np.asarray(rgb),
        alpha=None if alpha is None else np.asarray(alpha),
        metadata=Metadata(_encode_exif(exif), xmp, srgb_profile, _read_dpi(image)),
        notes=tuple(notes),
    )


# --- Modes and colours


def _plain(image: Image.Image) -> Image.Image:
    """Return the image as L, LA, RGB, RGBA, CMYK or LAB."""
    if image.mode in ("CMYK", "LAB"):
        return image
    if image.mode == "F" or image.mode.startswith("I"):
        return _eight_bits(image)
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if image.has_transparency_data:
        mode += "A"
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale an image of one deep channel (`I;16`, `I`, `F`) to L, or to LA where it names one grey as transparent.

    Nothing says what white is in floats: it is taken to be the first of 1, 255, 65535 that no value exceeds. What is
    neither, such as the measurements of a telescope, is scaled to its largest value.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0, neginf=0)
    peak = float(values.max())
    whites = (1, 255, 65535) if image.mode == "F" else (65535,)
    white = next((white for white in whites if peak <= white), peak)
    grey = Image.fromarray(np.rint(values.clip(0) * (255 / white)).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey


def _to_srgb(colors: Image.Image, profile: bytes | None, notes: list[str]) -> tuple[Image.Image, bytes | None]:
    """Convert an L, RGB, CMYK or LAB image from its colour profile to sRGB.

    Returns:
        The image as RGB, and the profile to tag it with: None without a (sound) one.
    """
    if profile:
        try:
            return _converted(colors, profile)
        except Exception:
            notes.append("colour profile ignored: damaged, or made for other pictures")
    return colors.convert("RGB"), None


def _converted(colors: Image.Image, profile: bytes) -> tuple[Image.Image, bytes]:
    """Do what `_to_srgb` does with a profile that may be unsound, and then raises."""
    from PIL import ImageCms

    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}[source.profile.xcolor_space.strip()]
    if colors.mode == "L" and mode == "RGB":
        colors = colors.convert("RGB")
    if colors.mode != mode:
        raise ValueError("The profile is for another mode.")
    transform = ImageCms.buildTransform(
        source,
        ImageCms.ImageCmsProfile(io.BytesIO(_srgb_profile())),
        mode,
        "RGB",
        # Keeps the colours that sRGB has as they are, which perceptual tables do not; black stays black.
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if mode == "RGB" and _changes_nothing(transform):
        return colors, profile
    converted = ImageCms.applyTransform(colors, transform)
    assert converted is not None  # as it was not asked to work in place
    return converted, _srgb_profile()


def _changes_nothing(transform: Any) -> bool:
    """Tell whether a transform leaves RGB colours where they are, but for rounding."""
    from PIL import ImageCms

    cube = np.indices((6, 6, 6), dtype=np.uint8).reshape(3, 1, -1).transpose(1, 2, 0) * 51
    result = ImageCms.applyTransform(Image.fromarray(np.ascontiguousarray(cube)), transform)
    return bool(np.abs(np.asarray(result, dtype=np.int16) - cube).max() <= 2)


@cache
def _srgb_profile() -> bytes:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    midnight = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)  # instead of now: equal photos give equal files
    return profile[:24] + midnight + profile[36:]


def _fill_hidden(rgb: Image.Image, mask: Image.Image) -> Image.Image:
    """Continue colours smoothly to where the mask hides them, so that nothing invisible reaches a network.

    This is pull-push (Gortler et al. 1996, section 3.4): known colours are averaged at half the size, where fewer are
    missing; these are filled in the same way, and enlarged they give what is missing here.

    Args:
        rgb: the colours.
        mask: L, 255 where they are known and 0 where they are not.
    """
    if mask.getextrema()[0] == 255:
        return rgb
    if rgb.size == (1, 1):
        return Image.new("RGB", (1, 1), (128, 128, 128))
    known = rgb.copy()
    known.putalpha(mask)
    coarse = known.convert("RGBa").reduce(2).convert("RGBA")
    coarse_mask = coarse.getchannel("A").point(lambda value: 255 * (value > 0))
    behind = _fill_hidden(coarse.convert("RGB"), coarse_mask)
    return Image.composite(rgb, behind.resize(rgb.size, Image.Resampling.BILINEAR), mask)


def _on_white(image: Image.Image) -> Image.Image:
    """Lay an RGBA image on white; `info` is kept."""
    flat = Image.new("RGB", image.size, (255, 255, 255))
    flat.paste(image, mask=image.getchannel("A"))
    flat.info = image.info
    return flat


# --- EXIF: a TIFF directory, its values kept as they are but little-endian

_Directory = dict[int, "tuple[int, bytes] | _Directory"]  # tag -> type and value, or a directory of its own

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 1, 2, 3, 4, 5, 7
# Bytes of one value of each type, and how many of them have their order turned together.
_TYPES = {1: (1, 1), 2: (1, 1), 3: (2, 2), 4: (4, 4), 5: (8, 4), 6: (1, 1), 7: (1, 1), 8: (2, 2), 9: (4, 4)}
_TYPES |= {10: (8, 4), 11: (4, 4), 12: (8, 8), 13: (4, 4)}
_TIFF_HEAD = struct.Struct("<4sI")
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


def _read_exif(image: Image.Image, notes: list[str]) -> _Directory:
    """Return what is worth keeping of an image's EXIF: empty where it has none or a damaged one."""
    try:
        if image.format == "TIFF":
            file = cast("Any", image).fp  # None in an image that is loaded already
            directory = _decode_exif(file) if file else {}
            return {tag: value for tag, value in directory.items() if tag not in (Base.ImageWidth, Base.ImageLength)}
        return _decode_exif_block(image.info.get("exif"))
    except Exception:
        notes.append("EXIF left out: damaged")
        return {}


def _decode_exif_block(block: bytes | None) -> _Directory:
    return _decode_exif(io.BytesIO(block.removeprefix(_EXIF_MARK))) if block else {}


def _decode_exif(file: IO[bytes]) -> _Directory:
    """Read the first directory of EXIF or TIFF, in either byte order, classic or BigTIFF."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    big = struct.unpack(f"{order}H", head[2:4]) == (43,)
    (start,) = struct.unpack(f"{order}Q", head[8:16]) if big else struct.unpack(f"{order}I", head[4:8])
    directory = _decode_directory(file, start, order, big, _NESTED)
    return {tag: value for tag, value in directory.items() if tag in _KEPT_TAGS}


def _decode_directory(file: IO[bytes], start: int, order: str, big: bool, nested: Mapping[int, Any]) -> _Directory:
    """Read one directory and those that `nested` names; values that lie outside the file are passed over."""
    count, entry, pointer = (f"{order}{fields}" for fields in (("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")))
    file.seek(start)
    (tags,) = struct.unpack(count, file.read(struct.calcsize(count)))
    entries = file.read(min(tags, _MOST_TAGS) * struct.calcsize(entry))
    entries = entries[: len(entries) // struct.calcsize(entry) * struct.calcsize(entry)]
    directory: _Directory = {}
    for tag, kind, length, field in struct.iter_unpack(entry, entries):
        (place,) = struct.unpack(pointer, field)
        if tag in nested:
            directory[tag] = _decode_directory(file, place, order, big, nested[tag])
            continue
        item, unit = _TYPES.get(kind, (1, 1))
        size = item * length
        if kind not in _TYPES or size > _MOST_BYTES:
            continue
        data = field[:size]
        if size > len(field):
            file.seek(place)
            data = file.read(size)
        if len(data) == size:
            directory[tag] = (kind, np.frombuffer(data, f"{order}u{unit}").astype(f"<u{unit}").tobytes())
    return directory


def _encode_exif(directory: _Directory) -> bytes | None:
    return _EXIF_MARK + _TIFF_HEAD.pack(b"II*\0", 8) + _encode_directory(directory, 8) if directory else None


def _encode_directory(directory: _Directory, start: int) -> bytes:
    """Write a directory that will lie at byte `start`, its values and inner directories behind it."""
    entries = struct.pack("<H", len(directory))
    values = bytearray()
    values_start = start + 2 + 12 * len(directory) + 4
    for tag, value in sorted(directory.items()):
        place = values_start + len(values)
        if isinstance(value, dict):
            entries += struct.pack("<HHII", tag, _LONG, 1, place)
            values += _encode_directory(value, place)
        else:
            kind, data = value
            length = len(data) // _TYPES[kind][0]
            if len(data) <= 4:
                entries += struct.pack("<HHI4s", tag, kind, length, data)
            else:
                entries += struct.pack("<HHII", tag, kind, length, place)
                values += data
        values += bytes(len(values) % 2)  # a value begins at an even byte
    return entries + bytes(4) + bytes(values)


def _take_orientation(exif: _Directory) -> int | None:
    """Remove the orientation, as the picture is turned upright, and return it."""
    match exif.pop(Base.Orientation, None):
        case (_, bytes() as data):
            return int.from_bytes(data, "little")
    return None


def _declare_srgb(exif: _Directory) -> None:
    """Let EXIF, if it speaks of a colour space, say sRGB (DCF's `R98`; Adobe RGB is `R03`)."""
    details = exif.get(IFD.Exif)
    if isinstance(details, dict) and Base.ColorSpace in details:
        details[Base.ColorSpace] = (_SHORT, b"\1\0")
        if IFD.Interop in details:
            details[IFD.Interop] = {Base.InteropIndex: (_ASCII, b"R98\0")}


def _exif_of_size(exif: bytes | None, size: tuple[int, int]) -> bytes | None:
    """Return EXIF whose statements of the picture's size, if it makes any, are true."""
    directory = _decode_exif_block(exif)
    for place, tags in (
        (directory, (Base.ImageWidth, Base.ImageLength)),
        (directory.get(IFD.Exif), (Base.ExifImageWidth, Base.ExifImageHeight)),
    ):
        for tag, side in zip(tags, size, strict=True):
            if isinstance(place, dict) and tag in place:
                place[tag] = (_LONG, struct.pack("<I", side))
    return _encode_exif(directory)


# --- XMP and resolution

_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)([1-8])")


def _read_xmp(image: Image.Image, notes: list[str]) -> tuple[bytes | None, int | None]:
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


def _read_dpi(image: Image.Image) -> tuple[float, float] | None:
    """Return an image's resolution, if it is one that every format can hold."""
    try:
        # Two decimals undo the rounding of PNG and BMP, which count pixels a metre.
        across, down = (round(float(value), 2) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    # One dot an inch is what Pillow says of a TIFF that says nothing.
    return (across, down) if all(1 < value <= 65_535 for value in (across, down)) else None


# --- Writing


def _leave_out(info: dict[str | tuple[int, int], Any], format: str) -> list[str]:
    """Remove the metadata that the format has no room for, and say so."""
    notes = []
    room = FORMATS[format].most_metadata
    for key in ("exif", "xmp"):
        if room is not None and len(info.get(key, b"")) > room:
            del info[key]
            reason = f"too large for {format.upper()}" if room else f"{format.upper()} has no place for it"
            notes.append(f"{key.upper()} left out: {reason}")
    return notes


def _encode(image: Image.Image, path: Path, format: str, quality: int) -> None:
    """Write an image with the metadata in its `info`, which most of Pillow's encoders want to be handed."""
    info: dict[str, Any] = {str(key): value for key, value in image.info.items()}
    options: dict[str, Any] = {"quality": quality}
    match format:
        case "tiff":
            _encode_tiff(image, path)
            return
        case "jpeg":
            options["subsampling"] = 0
            options["optimize"] = _can_be_optimised(image, options | info)
        case "png":
            from PIL.PngImagePlugin import PngInfo

            options["compress_level"] = 1  # three times as fast as the default, for a quarter more bytes
            if "xmp" in info:
                options["pnginfo"] = PngInfo()
                options["pnginfo"].add_itxt("XML:com.adobe.xmp", info["xmp"].decode("utf-8", "replace"))
        case "avif":
            options["speed"] = 8  # a third of the default's time, for the same bytes
        case "heic":
            options["enc_params"] = {"preset": "ultrafast"}  # three times as fast as the default, for a few more bytes
    image.save(path, FORMATS[format].pillow, **options, **info)


def _can_be_optimised(image: Image.Image, options: Mapping[str, Any]) -> bool:
    """Tell whether Pillow can give a JPEG optimised Huffman tables.

    For these it sets aside a byte a pixel, and fails where a busy picture of high quality needs more.
    """
    plain = io.BytesIO()
    image.save(plain, "JPEG", **options)
    return plain.tell() < max(2**16, image.width * image.height)


def _encode_tiff(image: Image.Image, path: Path) -> None:
    """Write a TIFF, deflated losslessly, with EXIF: Pillow's encoder cannot do both."""
    pixels = np.asarray(image)
    height, width, channels = pixels.shape
    steps = pixels.copy()
    steps[:, 1:] -= pixels[:, :-1]  # predictor 2: neighbours' differences deflate better
    rows = 64
    strips = [zlib.compress(steps[top : top + rows].tobytes(), 1) for top in range(0, height, rows)]
    ends = np.cumsum([_TIFF_HEAD.size, *map(len, strips)])

    shorts = {
        Base.BitsPerSample: [8] * channels,
        Base.Compression: [8],
        Base.PhotometricInterpretation: [2],
        Base.SamplesPerPixel: [channels],
        Base.PlanarConfiguration: [1],
        Base.Predictor: [2],
        **({Base.ExtraSamples: [2]} if channels == 4 else {}),  # alpha with which colours have not been multiplied
    }
    longs = {
        Base.ImageWidth: [width],
        Base.ImageLength: [height],
        Base.StripOffsets: ends[:-1],
        Base.RowsPerStrip: [rows],
        Base.StripByteCounts: np.diff(ends),
    }
    info = image.info
    directory = _decode_exif_block(info.get("exif"))
    directory |= {tag: (_SHORT, np.array(values, "<u2").tobytes()) for tag, values in shorts.items()}
    directory |= {tag: (_LONG, np.array(values, "<u4").tobytes()) for tag, values in longs.items()}
    if "dpi" in info:
        directory[Base.ResolutionUnit] = (_SHORT, b"\2\0")
        for tag, value in zip((Base.XResolution, Base.YResolution), info["dpi"], strict=True):
            directory[tag] = (_RATIONAL, struct.pack("<II", round(value * 10_000), 10_000))
    if "xmp" in info:
        directory[Base.XMLPacket] = (_BYTE, info["xmp"])
    if "icc_profile" in info:
        directory[Base.InterColorProfile] = (_UNDEFINED, info["icc_profile"])

    start = int(ends[-1] + ends[-1] % 2)
    with path.open("wb") as file:
        file.write(_TIFF_HEAD.pack(b"II*\0", start))
        file.writelines(strips)
        file.write(bytes(start - int(ends[-1])))
        file.write(_encode_directory(directory, start))
