"""Write files atomically, search folders, and clean up after killed runs."""

import contextlib
import errno
import hashlib
import logging
import os
import platform
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterator
from functools import cache
from pathlib import Path

from stylekit.errors import OutputExists, StylekitError
from stylekit.system.paths import working_folder_error

_LOGGER = logging.getLogger(__name__)

_TEMPORARY_MARK = ".stylekit-part"
_TEMPORARY_NAME = re.compile(rf"\.([0-9]{{1,9}})-([0-9a-f]{{8}})-[0-9a-f]{{8}}{re.escape(_TEMPORARY_MARK)}")
_ABANDONED_AFTER_SECONDS = 3600  # not at once: the writer may run in another container, hidden from this process
_STALE_AFTER_SECONDS = 24 * 3600

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)

# Errors that network file systems return for operations that they do not support. 524 is ENOTSUPP, which is internal
# to the Linux kernel, but some file systems return it to programs.
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, 524)

# Folders that operating systems, archivers and network drives add.
_JUNK_FOLDERS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information")


def file_hash(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_write(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a hidden temporary path beside `path`, and move the file there to `path` when the block succeeds.

    Missing parent folders are created. Other processes see either the old file or the complete new file. The new file
    is flushed to disk before it replaces the old one, because some file systems report a full disk only then.

    Args:
        path: The file to write.
        overwrite: Whether to replace an existing file.

    Yields:
        The temporary path to write to, with the same suffix as `path`.

    Raises:
        OutputExists: If `overwrite` is false and `path` exists, even if the file appeared only during the block, or if
            its name is spelled differently (case, Unicode normalization) on a file system that ignores the difference.
        OSError: If the file cannot be written; an existing file is left unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / _temporary_name(path.stem, path.suffix)
    try:
        yield temporary
        flush_to_disk(temporary)
        if overwrite:
            temporary.replace(path)
        else:
            _move_to_new(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _move_to_new(temporary: Path, path: Path) -> None:
    """Move a file to a path in one atomic step, which fails if the path exists."""
    try:
        if sys.platform == "win32":
            temporary.rename(path)  # never replaces a file on Windows
            return
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # FAT, exFAT and some network shares have no hard links
            path.touch(exist_ok=False)
            temporary.replace(path)
    except FileExistsError as error:
        hint = "Use --overwrite to replace it, or choose another --output."
        raise OutputExists(f"{path} already exists.", hint) from error


@contextlib.contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Yield a new hidden folder in `parent`, and delete it with its contents when the block ends."""
    folder = parent / _temporary_name("folder")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _temporary_name(stem: str, suffix: str = "") -> str:
    """Return a hidden file name that contains the process ID and the host, for `clear_stale`."""
    return f".{_shortened(stem)}.{os.getpid()}-{host_digest()}-{secrets.token_hex(4)}{_TEMPORARY_MARK}{suffix}"


@cache
def host_digest() -> str:
    """Return eight hexadecimal digits that identify this host among the hosts that share a file system."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _shortened(stem: str) -> str:
    """Shorten a stem to at most 80 bytes, because file systems limit the length of a name in bytes."""
    while len(os.fsencode(stem)) > 80:
        stem = stem[:-1]
    return stem


def hidden_beside(path: Path, suffix: str) -> Path:
    """Return a hidden path beside a file. The name is unique to the file, and short even if the file's name is long."""
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".{_shortened(path.name)}.{digest}{suffix}")


def flush_to_disk(path: Path) -> None:
    """Wait until a file's contents, or a folder's entries, would survive a power cut.

    Does nothing on file systems that cannot flush.

    Raises:
        OSError: If a file cannot be written. Errors about folders are ignored, because not every platform can flush
            them.
    """
    if not path.is_dir():
        with path.open("rb+") as file:
            try:
                os.fsync(file.fileno())
            except OSError as error:
                if not is_unsupported(error):
                    raise
                _LOGGER.debug("%s: the file system cannot flush files to disk (%s)", path.parent, error.strerror)
        return
    with contextlib.suppress(OSError):  # Windows cannot open folders
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def is_unsupported(error: OSError) -> bool:
    """Return whether an error means that the file system does not support an operation, such as locking or flushing.

    This is common on network drives, clusters and FUSE file systems. The work can continue without these operations.
    """
    return error.errno in _UNSUPPORTED


@contextlib.contextmanager
def writing(path: Path, kind: type[StylekitError], hint: str = "") -> Iterator[None]:
    """Turn an `OSError` raised while the block writes `path` into one of stylekit's errors.

    Args:
        path: The file or folder that the block writes.
        kind: The class of the error to raise.
        hint: An alternative for the user, worded to follow "or": `choose another --output`. The error's hint starts
            with a remedy for the cause itself, such as a full disk or a missing permission.

    Raises:
        StylekitError: If the block raises an `OSError`. The error is of the class `kind`.
    """
    try:
        yield
    except OSError as error:
        if not path.is_absolute() and (missing := working_folder_error()) is not None:
            raise kind(missing.message, missing.hint) from error
        reason = error.strerror or str(error) or type(error).__name__
        remedies = [_remedy(error), hint] if hint else [_remedy(error)]
        raise kind(f"Cannot write {path}: {reason.rstrip('.')}.", f"{', or '.join(remedies)}.") from error


def _remedy(error: OSError) -> str:
    """Return the beginning of a hint, which says what the user can do about a failed write."""
    if error.errno in _DISK_FULL:
        return "Free some disk space"
    if error.errno in _FORBIDDEN:
        return "Check the folder's permissions"
    return "Check the path, its permissions and the free space"


def walk_files(
    folder: Path,
    suffixes: Collection[str],
    *,
    recursive: bool = True,
    on_other: Callable[[str], None] = lambda name: None,
    on_error: Callable[[OSError], None] = lambda error: None,
) -> Iterator[Path]:
    """Yield the files of a folder that have one of the suffixes.

    Within each folder, files come before subfolders, and both are sorted by name. Links to folders are followed, but
    no folder is visited twice, so circular links are harmless. Hidden files and junk are skipped; see `is_junk`.

    Args:
        folder: The folder to search.
        suffixes: The suffixes in lower case, with the dot. The case of file names is ignored.
        recursive: Whether to search subfolders too.
        on_other: Called with the name of each file that has a different suffix.
        on_error: Called for each folder that cannot be read; the error's `filename` is the folder's path.
    """
    visited = set()
    for root, folders, files in os.walk(folder, followlinks=True, onerror=on_error):
        real = os.path.realpath(root)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if recursive and not is_junk(name))
        for name in sorted(files):
            if is_junk(name):
                continue
            if Path(name).suffix.lower() in suffixes:
                yield Path(root) / name
            else:
                on_other(name)


def is_junk(name: str) -> bool:
    """Return whether a file or folder with this name is hidden, or is a folder that operating systems add."""
    return name.startswith(".") or name in _JUNK_FOLDERS


def is_temporary(name: str) -> bool:
    """Return whether a file or folder with this name was created by `atomic_write` or `temporary_folder`."""
    return _TEMPORARY_NAME.search(name) is not None


def clear_stale(folder: Path) -> None:
    """Delete the temporary files and folders that killed runs left in `folder`.

    A temporary file is deleted if it has not changed for a day, or for an hour if it was written by a process of this
    host that is no longer running.
    """
    for temporary in folder.glob(f".*{_TEMPORARY_MARK}*"):
        if not _is_stale(temporary):
            continue
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                temporary.unlink()


def _is_stale(temporary: Path) -> bool:
    writer = _TEMPORARY_NAME.search(temporary.name)
    if writer is None:
        return False
    try:
        age = time.time() - temporary.stat().st_mtime
    except OSError:  # the file has just been moved into place
        return False
    process, host = writer.groups()
    is_abandoned = host == host_digest() and not _is_running(int(process))
    return age > (_ABANDONED_AFTER_SECONDS if is_abandoned else _STALE_AFTER_SECONDS)


def _is_running(process: int) -> bool:
    """Return whether a process of this host is running; always true on Windows."""
    if sys.platform == "win32":  # signal 0 would terminate the process there
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # the process belongs to another user
        pass
    return True
