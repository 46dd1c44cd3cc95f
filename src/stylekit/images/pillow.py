"""Pillow: its process-wide settings, plugins and encoders."""

import contextlib
import ctypes
import importlib
import io
import logging
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

from PIL import Image, UnidentifiedImageError

from stylekit.errors import ImageError
from stylekit.images.errors import DamagedImageError, UnsupportedKindError
from stylekit.images.heif_boxes import AVIF_BRANDS, HEIF_BRANDS
from stylekit.images.png import MOST_TEXT, PNG_SIGNATURE
from stylekit.images.tiff_kinds import TIFF_SIGNATURES, deep_gray_with_alpha, describe_tiff
from stylekit.system.extras import install_hint

# The only Pillow decoders that a file can reach: EPS would run Ghostscript, and most others are hardly tested.
_DECODERS = ("Jpeg", "Png", "WebP", "Tiff", "Bmp", "Gif", "Avif")
_SIGNATURES = (b"\xff\xd8\xff", PNG_SIGNATURE, b"GIF8", *TIFF_SIGNATURES)
_READ_BY_PYTHON = (
    "Jpeg",
    "Png",
    "Tiff",
    "Bmp",
    "Gif",
)  # for other formats, C code reads the header, and can crash
_SILENCE = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
_PIXELS_PER_BYTE = 8  # roughly, in WebP, AVIF and HEIC


class _PillowSettings:
    """Pillow's pixel limit and other settings, changed while any of stylekit's threads needs it, and then restored.

    The settings are global to the process. If each thread restored the state that it found, it might restore another
    thread's change (as `warnings.catch_warnings` can). So the first thread to enter saves the state, and the last
    thread to leave restores it. In between, the limit is never lower than the program set it, and nothing is silenced
    but Pillow's warnings and the errors that libtiff prints.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limits: list[int] = []
        self._original: int | None = None
        self._restore = contextlib.ExitStack()

    @contextlib.contextmanager
    def set_for(self, max_pixels: int) -> Iterator[None]:
        """Keep Pillow from rejecting or warning about images of up to `max_pixels`; the caller checks the size."""
        with self._lock:
            if not self._limits:
                self._original = Image.MAX_IMAGE_PIXELS
                for setting in (_silent_pillow(), _silent_libtiff(), _long_texts(), deep_gray_with_alpha()):
                    self._restore.enter_context(setting)
            self._limits.append(max_pixels)
            self._set_limit()
        try:
            yield
        finally:
            with self._lock:
                self._limits.remove(max_pixels)
                self._set_limit()
                if not self._limits:
                    self._restore.close()

    def _set_limit(self) -> None:
        Image.MAX_IMAGE_PIXELS = None if self._original is None else max(self._original, *self._limits, 0)


@contextlib.contextmanager
def _silent_pillow() -> Iterator[None]:
    """Silence Pillow's warnings, and the errors that it logs if the program has not set up logging."""
    # Not `warnings.filterwarnings`: each call would make all libraries' one-time warnings appear again.
    filters = cast("list[object]", warnings.filters)
    filters.insert(0, _SILENCE)
    handler, logger = logging.NullHandler(), logging.getLogger("PIL")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        with contextlib.suppress(ValueError):  # the program may have replaced the filters since
            cast("list[object]", warnings.filters).remove(_SILENCE)


@contextlib.contextmanager
def _silent_libtiff() -> Iterator[None]:
    """Keep libtiff from printing errors, which Pillow raises anyway; do nothing if Pillow hides libtiff's functions."""
    try:
        set_handler = ctypes.CDLL(cast("Any", Image).core.__file__).TIFFSetErrorHandler
    except (AttributeError, OSError):
        yield
        return
    set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
    original = set_handler(None)
    try:
        yield
    finally:
        set_handler(original)


@contextlib.contextmanager
def _long_texts() -> Iterator[None]:
    """Raise Pillow's limit on texts and color profiles in PNGs, which real files exceed."""
    from PIL import PngImagePlugin

    original = PngImagePlugin.MAX_TEXT_CHUNK
    PngImagePlugin.MAX_TEXT_CHUNK = max(original, MOST_TEXT)
    try:
        yield
    finally:
        PngImagePlugin.MAX_TEXT_CHUNK = original


pillow = _PillowSettings()


def formats_of(decoders: Sequence[str]) -> list[str]:
    """Import some of Pillow's decoders, instead of all forty, and return Pillow's names for their formats."""
    for decoder in decoders:
        importlib.import_module(f"PIL.{decoder}ImagePlugin")
    return [decoder.upper() for decoder in decoders]


def open_image(file: BinaryIO, name: str) -> Image.Image:
    """Open an image with one of the allowed decoders; its pixels are not decoded yet.

    Args:
        file: The file, at its start.
        name: The file's name for error messages.

    Raises:
        ImageError: If the file is empty, or the extra for its format is not installed.
        UnsupportedKindError: If the file is a TIFF of a kind that Pillow cannot decode.
        DamagedImageError: If the file starts like an image, but cannot be opened.
        UnidentifiedImageError: If the file is not an image.
    """
    head = file.read(12)
    file.seek(0)
    if not head:
        raise ImageError(f"{name} is empty (0 bytes).", "Copy or download it again.")
    formats = formats_of(_DECODERS)
    brand = head[8:] if head[4:8] == b"ftyp" else b""
    if brand in HEIF_BRANDS:
        register_heif(name)
        formats.append("HEIF")
    try:
        return Image.open(file, formats=formats)
    except UnidentifiedImageError:
        kind = describe_tiff(file) if head.startswith(TIFF_SIGNATURES) else None
        if kind is not None:
            raise UnsupportedKindError("TIFF", kind) from None
        if head.startswith(_SIGNATURES) or brand in HEIF_BRANDS | AVIF_BRANDS:
            raise DamagedImageError from None
        raise


def estimate_pixels(path: Path) -> int:
    """Estimate how many pixels an image has, from its header, or from its file size if only C code reads the header.

    Returns:
        The number of pixels; 0 for a file that cannot be read.
    """
    try:
        if not path.is_file():
            return 0
        with pillow.set_for(0), Image.open(path, formats=formats_of(_READ_BY_PYTHON)) as image:
            return image.width * image.height
    except UnidentifiedImageError:
        return path.stat().st_size * _PIXELS_PER_BYTE
    except Exception:
        return 0


class _WithoutDescriptor(io.BufferedWriter):
    """A file without a descriptor, which makes Pillow write through Python; Python notices short writes."""

    def fileno(self) -> NoReturn:
        raise io.UnsupportedOperation("Pillow's encoders ignore short writes to a file descriptor")


def save_image(image: Image.Image, path: Path, format: str, **options: Any) -> None:
    """Write an image with one of Pillow's encoders, and raise an error if the disk fills up.

    Args:
        image: The image.
        path: The file to write.
        format: Pillow's name for the format.
        options: Passed to the encoder.

    Raises:
        OSError: If the file cannot be written whole.
        ValueError: If the encoder rejects the image or an option.
    """
    with _WithoutDescriptor(io.FileIO(path, "w")) as file:
        image.save(file, format, **options)


def register_heif(name: str) -> None:
    """Add HEIC, whose support is an extra, to Pillow's formats.

    Args:
        name: The name of the HEIC file for the error message.

    Raises:
        ImageError: If the extra is not installed.
    """
    try:
        import pillow_heif
    except ImportError:
        raise ImageError(f"{name} is HEIC, which needs an extra.", install_hint("heif")) from None
    pillow_heif.register_heif_opener()
