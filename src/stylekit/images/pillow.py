"""Pillow's process-wide settings, and whatever it raises as our errors."""

import contextlib
import importlib
import io
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

from PIL import Image, UnidentifiedImageError

from stylekit.errors import ImageError

_READ_BY_PYTHON = ("Jpeg", "Png", "Tiff", "Bmp", "Gif")  # other headers go to C at once, which may die of them
_PIXELS_A_BYTE = 8  # about, of WebP, AVIF and HEIC


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


pillow = _PillowSettings()


def formats_of(decoders: Sequence[str]) -> list[str]:
    """Import some of Pillow's decoders, which itself would import all forty, and return what it calls their formats."""
    for decoder in decoders:
        importlib.import_module(f"PIL.{decoder}ImagePlugin")
    return [decoder.upper() for decoder in decoders]


def estimate_pixels(path: Path) -> int:
    """Return how many pixels a picture has by its header, or about, by its file's size, where C would read the header.

    What cannot be read has none; reading it will say why.
    """
    try:
        if not path.is_file():
            return 0
        with pillow.set_for(0), Image.open(path, formats=formats_of(_READ_BY_PYTHON)) as image:
            return image.width * image.height
    except UnidentifiedImageError:
        return path.stat().st_size * _PIXELS_A_BYTE
    except Exception:
        return 0


class _WithoutDescriptor(io.BufferedWriter):
    """A file that Pillow writes to through Python, which notices short writes."""

    def fileno(self) -> NoReturn:
        raise io.UnsupportedOperation("Pillow's encoders ignore short writes to a file descriptor")


def save_image(image: Image.Image, path: Path, format: str, **options: Any) -> None:
    """Write an image with one of Pillow's encoders, and notice when the disk fills up.

    Args:
        image: The image.
        path: The file to write.
        format: Pillow's name of the format.
        options: Passed to the encoder.

    Raises:
        OSError: If the file cannot be written whole.
        ValueError: If the encoder rejects the image or an option.
    """
    with _WithoutDescriptor(io.FileIO(path, "w")) as file:
        image.save(file, format, **options)


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
