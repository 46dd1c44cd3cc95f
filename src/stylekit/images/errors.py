"""Whatever Pillow raises as stylekit's errors."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from stylekit.errors import ImageError, StylekitError
from stylekit.images.formats import READABLE

RAISE_LIMIT = "If you trust the file, raise --max-pixels."


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
