"""Create the private folder of a studio, and delete the folder when the studio ends."""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from stylekit.errors import StylekitError
from stylekit.system.files import writing
from stylekit.system.paths import OTHER_HOME, cache_dir

_LOCK = "lock"


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Yield a new folder that only this user can read, and delete the folder when the block ends.

    Folders that killed studios left behind are deleted first. A running studio holds the lock in its folder.

    Raises:
        StylekitError: If the folder cannot be created.
    """
    parent = cache_dir() / "studio"
    folder = parent / secrets.token_hex(8)
    with writing(parent, StylekitError, OTHER_HOME):
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _delete_abandoned(parent)
        folder.mkdir(mode=0o700)
        lock = FileLock(folder / _LOCK)
        lock.acquire()
    try:
        yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another studio is using this folder
            parent.rmdir()


def _delete_abandoned(parent: Path) -> None:
    for folder in parent.iterdir():
        if not (folder / _LOCK).exists():  # another studio is about to create it
            continue
        lock = FileLock(folder / _LOCK)
        try:
            lock.acquire(blocking=False)
        except (Timeout, OSError):
            continue
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)
