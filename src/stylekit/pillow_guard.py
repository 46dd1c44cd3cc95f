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

from stylekit.errors import ImageError, StylekitError
from stylekit.formats import READABLE

_READ_BY_PYTHON = ("Jpeg", "Png", "Tiff", "Bmp", "Gif")  # other headers go to C at once, which may die of them
_PIXELS_A_BYTE = 8  # about, of WebP, AVIF and HEIC

RAISE_LIMIT = "If you trust the file, raise --max-pixels."


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


@contextlib.contextmanager
def read_errors(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into an `ImageError` about `name`; hostile files make them raise anything."""
    try:
        yield
    except StylekitError:
        raise
    except Exception as error:
        raise ImageError(*_read_failure(name, error)) from error


def _read_failure(name: str, error: Exception) -> tuple[str, str]:
    """Return message and hint for a picture that could not be read."""
    match error:
        case Image.DecompressionBombError():
            return f"{name} has far more pixels than the limit.", RAISE_LIMIT
        case MemoryError():
            return f"There is too little memory to read {name}.", "Close other programs, or reduce the picture first."
        case UnidentifiedImageError():
            return f"{name} is not a picture that can be read.", READABLE
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
def write_errors(path: Path) -> Iterator[None]:
    """Turn what goes wrong in writing `path` into an `ImageError`."""
    try:
        yield
    except StylekitError:
        raise
    except OSError as error:
        reason = error.strerror or _reason(error)
        raise ImageError(f"Cannot write {path}: {reason}.", "Check the folder's permissions and free space.") from error
    except Exception as error:
        raise ImageError(f"Cannot write {path}: {_reason(error)}.", "Try another format.") from error


def _reason(error: Exception) -> str:
    """Return an exception's first line, or its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
