"""Locks on files that several processes may write, and actions that happen however a block ends."""

import atexit
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from stylekit.errors import StylekitError
from stylekit.system.files import hidden_beside, writing


@contextlib.contextmanager
def locked(path: Path, kind: type[StylekitError], hint: str = "", *, wait: bool = True) -> Iterator[None]:
    """Keep other processes from locking `path` until the block ends. Missing parent folders are created.

    Args:
        path: The file that is going to be written.
        kind: The error to raise.
        hint: What else the user can do, to end a sentence; see `files.writing`.
        wait: Whether to wait for another process that holds the lock.

    Raises:
        StylekitError: If the lock file cannot be written, or another process holds the lock and `wait` is false; of the
            class `kind`.
    """
    lock = FileLock(hidden_beside(path, ".lock"))
    with writing(path, kind, hint):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=wait)
        except Timeout as error:
            remedy = f"Wait for it, or {hint}." if hint else "Wait for it."
            raise kind(f"{path} is being written by another run.", remedy) from error
    with _released(lock):
        yield


@contextlib.contextmanager
def _released(lock: BaseFileLock) -> Iterator[None]:
    """Release a lock when the block ends, and delete its file."""

    def delete() -> None:
        with contextlib.suppress(OSError):  # Windows cannot delete an open file
            Path(lock.lock_file).unlink()

    try:
        with finally_do(delete):  # before the release: a process that waits for the lock notices, and locks a new file
            yield
    finally:
        lock.release()


@contextlib.contextmanager
def finally_do(action: Callable[[], None]) -> Iterator[None]:
    """Call `action` when the block ends, even if the process exits while another thread is inside the block."""
    atexit.register(action)
    try:
        yield
    finally:
        atexit.unregister(action)
        action()
