"""Files: written whole or not at all, with clear errors; found in folders; and cleared when a killed run left them."""

import contextlib
import errno
import hashlib
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

_TEMPORARY_MARK = ".stylekit-part"
_TEMPORARY_NAME = re.compile(rf"\.([0-9]{{1,9}})-([0-9a-f]{{8}})-[0-9a-f]{{8}}{re.escape(_TEMPORARY_MARK)}")
_ABANDONED_AFTER_SECONDS = 3600  # without a running writer: in another container, its number means another process
_STALE_AFTER_SECONDS = 24 * 3600

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_FSYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)  # what file systems without it answer

_JUNK_FOLDERS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information")  # of systems and their archivers


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
    """Move a file to a path in one step that fails if the path exists."""
    try:
        if sys.platform == "win32":
            temporary.rename(path)  # replaces nothing on Windows
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
    """Return a hidden name that says which process of which host made it, so that `clear_stale` can judge it."""
    return f".{_shortened(stem)}.{os.getpid()}-{host_digest()}-{secrets.token_hex(4)}{_TEMPORARY_MARK}{suffix}"


@cache
def host_digest() -> str:
    """Return eight hexadecimal digits that tell this host from others that share a file system with it."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _shortened(stem: str) -> str:
    """Return the first 80 bytes of a stem in whole characters, because file systems limit the bytes of a name."""
    while len(os.fsencode(stem)) > 80:
        stem = stem[:-1]
    return stem


def hidden_beside(path: Path, suffix: str) -> Path:
    """Return a hidden path beside a file that is unique to the file, and short however long the file's name is."""
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".{_shortened(path.name)}.{digest}{suffix}")


def flush_to_disk(path: Path) -> None:
    """Wait until a file's contents, or a folder's entries, would survive a power cut.

    Raises:
        OSError: If the file cannot be written. Errors about folders are ignored: not every platform can flush them.
    """
    if not path.is_dir():
        with path.open("rb+") as file:
            try:
                os.fsync(file.fileno())
            except OSError as error:
                if error.errno not in _NO_FSYNC:
                    raise
        return
    with contextlib.suppress(OSError):  # Windows cannot open folders
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def writing(path: Path, kind: type[StylekitError], hint: str = "") -> Iterator[None]:
    """Turn an `OSError` in the block, in which `path` is written, into one of stylekit's errors.

    Args:
        path: The file or folder that is written.
        kind: The error to raise.
        hint: What else the user can do, to end a sentence: `choose another --output`. What can be done about the
            reason itself (a full disk, a missing permission) comes before it.

    Raises:
        StylekitError: If the block raises an `OSError`; of the class `kind`.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        remedies = [_remedy(error), hint] if hint else [_remedy(error)]
        raise kind(f"Cannot write {path}: {reason.rstrip('.')}.", f"{', or '.join(remedies)}.") from error


def _remedy(error: OSError) -> str:
    """Return what can be done about a failed write, as the beginning of a sentence."""
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

    Within each folder, files come first, then subfolders, both sorted by name. Links to folders are followed, but no
    folder is visited twice, so that a loop of links ends. Hidden and junk names are skipped; see `is_junk`.

    Args:
        folder: The folder to search.
        suffixes: In lower case, with the dot; the case of file names is ignored.
        recursive: Whether subfolders are searched too.
        on_other: Called with the name of each file that has another suffix.
        on_error: Called for each folder that cannot be read, with its path as the error's `filename`.
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
    """Return whether a file's or folder's name is hidden, or one that an operating system or archiver adds."""
    return name.startswith(".") or name in _JUNK_FOLDERS


def is_temporary(name: str) -> bool:
    """Return whether a name is one that `atomic_write` or `temporary_folder` gives."""
    return _TEMPORARY_NAME.search(name) is not None


def clear_stale(folder: Path) -> None:
    """Delete the temporary files and folders that killed runs left in `folder`.

    Stale is what has not changed for a day, or for an hour if its writer was a process of this host that is gone.
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
    except OSError:  # its writer has just moved it into place
        return False
    process, host = writer.groups()
    is_abandoned = host == host_digest() and not _is_running(int(process))
    return age > (_ABANDONED_AFTER_SECONDS if is_abandoned else _STALE_AFTER_SECONDS)


def _is_running(process: int) -> bool:
    """Return whether a process of this host is running, so far as the platform can say."""
    if sys.platform == "win32":  # signal 0 would end the process there
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it belongs to another user
        pass
    return True
