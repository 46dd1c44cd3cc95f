"""Convert exceptions from Pillow and from the file system to `ImageError`."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from stylekit.errors import ImageError, StylekitError
from stylekit.images.formats import READABLE
from stylekit.system.files import writing

RAISE_LIMIT = "If you trust the file, raise --max-pixels."

_COPY_AGAIN = "Copy or download it again."
# Pillow's messages for a JPEG without pixels, and for any damaged WebP.
_UNCLEAR = ("cannot load this image", "could not create decoder object")


class UnsupportedKindError(Exception):
    """An image of a kind that cannot be decoded correctly."""

    def __init__(self, format: str, kind: str) -> None:
        """Create the exception for an image.

        Args:
            format: The format, such as `TIFF`.
            kind: The kind of image, such as `16-bit CIELAB`.
        """
        super().__init__(f"this kind of {format} ({kind}) is not supported")


class DamagedImageError(Exception):
    """A file that starts like an image, but cannot be opened."""


@contextlib.contextmanager
def read_errors(name: str) -> Iterator[None]:
    """Convert any exception from a decoder to an `ImageError` about `name`, because hostile files can raise any."""
    try:
        yield
    except StylekitError:
        raise
    except Exception as error:
        raise ImageError(*_read_failure(name, error)) from error


def _read_failure(name: str, error: Exception) -> tuple[str, str]:
    """Return the message and the hint for an image that cannot be read."""
    match error:
        case Image.DecompressionBombError():
            return f"{name} has far more pixels than the limit.", RAISE_LIMIT
        case MemoryError():
            return f"Not enough memory to read {name}.", "Close other programs, or scale the image down first."
        case UnsupportedKindError():
            return f"Cannot read {name}: {error}.", "Save it as 8-bit or 16-bit RGB in another program."
        case DamagedImageError():
            return f"{name} is truncated or corrupt.", _COPY_AGAIN
        case UnidentifiedImageError():
            return f"{name} is not a readable image.", READABLE
        case FileNotFoundError():
            return f"{name} does not exist.", "Check the path."
        case PermissionError():
            return f"Cannot read {name}: permission denied.", "Check the file's permissions."
        case OSError(errno=int()):
            return f"Cannot read {name}: {error.strerror}.", ""
        case _ if isinstance(error, EOFError) or "truncated" in str(error).lower():
            return f"{name} is truncated.", _COPY_AGAIN
        case _ if str(error) in _UNCLEAR or "unexpected end of file" in str(error).lower():
            return f"{name} is truncated or corrupt.", _COPY_AGAIN
    return f"{name} is corrupt: {_reason(error)}.", "Open it in another program and save it again."


@contextlib.contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Convert any exception raised while writing `path` to an `ImageError`."""
    try:
        with writing(path, ImageError, "choose another --output"):
            yield
    except StylekitError:
        raise
    except Exception as error:
        raise ImageError(f"Cannot write {path}: {_reason(error)}.", "Try another format.") from error


def _reason(error: Exception) -> str:
    """Return the first line of an exception's message, or its class name if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
