"""Lock files that several processes may write, and run cleanup even if the process exits."""

import atexit
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stylekit.errors import StylekitError
from stylekit.system.files import hidden_beside, is_unsupported, writing

if TYPE_CHECKING:
    from filelock import BaseFileLock

NO_LOCKS = "the output folder does not support file locks; do not write to it from two runs at the same time"

_without_locks: set[Path] = set()  # folders for which `NO_LOCKS` was yielded


@contextlib.contextmanager
def locked(path: Path, kind: type[StylekitError], hint: str = "", *, wait: bool = True) -> Iterator[tuple[str, ...]]:
    """Hold a lock on `path` during the block. Missing parent folders are created.

    Some network folders do not support locks. On those, the block runs without a lock.

    Args:
        path: The file that the block writes.
        kind: The class of the errors to raise.
        hint: An alternative for the user, worded to follow "or"; see `files.writing`.
        wait: Whether to wait if another process holds the lock.

    Yields:
        Notes for the user: `NO_LOCKS` the first time that a folder does not support locks.

    Raises:
        StylekitError: If the lock file cannot be written, or if another process holds the lock and `wait` is false. The
            error is of the class `kind`.
    """
    from filelock import FileLock, Timeout  # takes 10 ms to import

    # The fallback of filelock for folders without locks prints a warning, and a killed run would stay locked.
    lock = FileLock(hidden_beside(path, ".lock"), fallback_to_soft=False)
    notes: tuple[str, ...] = ()
    with writing(path, kind, hint):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=wait)
        except Timeout as error:
            remedy = f"Wait for that run, or {hint}." if hint else "Wait for that run."
            raise kind(f"{path} is being written by another run.", remedy) from error
        except OSError as error:
            if not is_unsupported(error):
                raise
            notes = () if path.parent in _without_locks else (NO_LOCKS,)
            _without_locks.add(path.parent)
    with _released(lock):
        yield notes


@contextlib.contextmanager
def _released(lock: "BaseFileLock") -> Iterator[None]:
    """Release a lock when the block ends, and delete the lock file."""

    def delete() -> None:
        with contextlib.suppress(OSError):  # Windows cannot delete an open file
            Path(lock.lock_file).unlink()

    try:
        with finally_do(delete):  # before the release: waiting processes notice, and create a new lock file
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
