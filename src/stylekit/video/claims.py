"""Claims on results that take long to paint."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from stylekit.errors import ImageError
from stylekit.images.errors import write_errors
from stylekit.system.files import hidden_beside
from stylekit.system.locks import _releasing


@contextlib.contextmanager
def claim(path: Path) -> Iterator[None]:
    """Keep other processes from claiming `path` until the block ends. Missing folders are made.

    Raises:
        ImageError: if another one has claim it, or nothing can be written there.
    """
    with write_errors(path):
        lock_file = hidden_beside(path, ".lock")
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_file)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            hint = "Wait for it, or choose another --output."
            raise ImageError(f"{path} is being written by another run.", hint) from None
    with _releasing(lock):
        yield
