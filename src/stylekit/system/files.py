"""Files that are written whole or not at all."""

import contextlib
import hashlib
import os
import platform
import re
import secrets
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from stylekit.system.paths import _NO_FSYNC, _move_to_free

_TEMPORARY_MARK = ".stylekit-part"

_WRITER = re.compile(rf"\.([0-9]{{1,9}})-([0-9a-f]{{8}})-[0-9a-f]{{8}}{re.escape(_TEMPORARY_MARK)}")

_STALE_AFTER_SECONDS = 24 * 3600


def file_hash(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_write(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a hidden temporary path beside `path`, and move it into place when the block succeeds.

    Missing parent folders are created. A reader sees the old file or the whole new one, never a part. The new file is
    on the disk before it replaces anything: file systems that allocate late report a full disk only then.

    Args:
        path: The file to write.
        overwrite: Whether an existing file is replaced.

    Yields:
        The temporary path to write to, with the same suffix as `path`.

    Raises:
        OutputExists: If `path` exists and `overwrite` is false, even if it appeared during the block or is an existing
            file under another spelling (case, Unicode normalization).
        OSError: If the file cannot be written; an existing file is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = f"{os.getpid()}-{_machine()}-{secrets.token_hex(4)}"
    temporary = path.parent / f".{_shortened(path.stem)}.{writer}{_TEMPORARY_MARK}{path.suffix}"
    try:
        yield temporary
        flush_to_disk(temporary)
        if overwrite:
            temporary.replace(path)
        else:
            _move_to_free(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@cache
def _machine() -> str:
    """What tells this machine from others that share a file system with it."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _shortened(stem: str) -> str:
    """The beginning of a stem; file systems limit names by their bytes."""
    return os.fsencode(stem)[:80].decode(errors="ignore")


def hidden_beside(path: Path, suffix: str) -> Path:
    """Return a hidden path beside a file that belongs to it alone, and is not too long however long its name is."""
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".{_shortened(path.name)}.{digest}{suffix}")


def flush_to_disk(path: Path) -> None:
    """Wait until a file would outlive a power cut; or a folder's names, where the platform can tell."""
    if not path.is_dir():
        with path.open("rb+") as file:
            try:
                os.fsync(file.fileno())
            except OSError as error:
                if error.errno not in _NO_FSYNC:
                    raise
        return
    with contextlib.suppress(OSError):  # Windows opens no folder
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def clear_stale(folder: Path) -> None:
    """Delete what killed runs left in `folder`: temporary files of this machine's processes that are no more.

    What other machines write there can be told by its age alone.
    """
    for temporary in folder.glob(f".*{_TEMPORARY_MARK}*"):
        if _is_stale(temporary):
            with contextlib.suppress(OSError):
                temporary.unlink()


def _is_stale(temporary: Path) -> bool:
    writer = _WRITER.search(temporary.name)
    try:
        if time.time() - temporary.stat().st_mtime > _STALE_AFTER_SECONDS:
            return True
        if writer is None or writer[2] != _machine():
            return False
        if sys.platform == "win32":  # there, signal 0 would end the process
            return False
        os.kill(int(writer[1]), 0)
    except (FileNotFoundError, PermissionError):
        return False
    except ProcessLookupError:
        return True
    return False
