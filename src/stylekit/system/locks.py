"""Files that several processes write: one at a time, with nothing left behind, and clear errors."""

import atexit
import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock

from stylekit.errors import DownloadError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes that would write `path` waiting until the block ends. Missing folders are made.

    Raises:
        DownloadError: if nothing can be written there.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.parent / f".{path.name}.lock")
        lock.acquire()
    with _releasing(lock):
        yield


@contextlib.contextmanager
def _releasing(lock: BaseFileLock) -> Iterator[None]:
    """Release a lock when the block ends, and remove its file."""

    def remove() -> None:
        with contextlib.suppress(OSError):  # Windows deletes no open file
            Path(lock.lock_file).unlink()

    try:
        with ending(remove):  # before it is released: who waits for it notices, and locks a new one
            yield
    finally:
        lock.release()


@contextlib.contextmanager
def ending(action: Callable[[], None]) -> Iterator[None]:
    """Do something at the end of the block, also where the process ends while another thread is in it."""
    atexit.register(action)
    try:
        yield
    finally:
        atexit.unregister(action)
        action()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the file system says into an error that names the place and the way out."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DownloadError(
                f"There is no room for {path}.", "Make some, or set STYLEKIT_HOME to a folder on another disk."
            ) from None
        raise DownloadError(
            f"{path} cannot be written: {error.strerror or error}.",
            "Set STYLEKIT_HOME to a folder that you may write to.",
        ) from None
