"""Detect complete and new files in watched folders."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SETTLE_SECONDS = 1.0  # a file counts as complete after this long without a change
_PATIENCE_SECONDS = 10.0  # the same for a file that could not be read, because network copies can stall


@dataclass
class _File:
    """A file as last seen.

    Attributes:
        version: Modification time in nanoseconds, and size in bytes.
        changed: The `time.monotonic()` value of the last known change.
        settle: Seconds without a change after which the file counts as complete.
        is_taken: Whether `Arrivals.take` has returned this version.
    """

    version: tuple[int, int]
    changed: float
    settle: float = SETTLE_SECONDS
    is_taken: bool = False

    @property
    def due(self) -> float:
        """The `time.monotonic()` value at which the file counts as complete; infinity while the file is empty."""
        return self.changed + self.settle if self.version[1] else math.inf


class Arrivals:
    """Detects complete and new files, each time the watched folders are scanned.

    A file is complete once its size and modification time have not changed for a second. A file is new if it has not
    been taken before, or if it has changed since.

    Attributes:
        due: The `time.monotonic()` value at which the next file becomes complete if nothing changes; infinity if no
            file is pending.
    """

    def __init__(self) -> None:
        self._files: dict[Path, _File] | None = None
        self.due = math.inf

    def take(self, paths: Iterable[Path]) -> set[Path]:
        """Return the complete and new files, given all files that are in the folders now.

        In the first scan, files are timed from their last change, so only recently changed files have to settle. In
        later scans, files are timed from the scan that found them, because clocks of other machines and copied
        timestamps can be wrong.

        Args:
            paths: All files in the folders. Missing files are forgotten, and count as new when they return.
        """
        now, is_first = time.monotonic(), self._files is None
        previous = self._files or {}
        self._files = {}
        for path in paths:
            version, age = _version_and_age(path)
            if version is None:
                continue
            known = previous.get(path)
            if known is None or known.version != version:
                known = _File(version, now - age if is_first else now)
            self._files[path] = known
        taken = {path for path, file in self._files.items() if not file.is_taken and file.due <= now}
        for path in taken:
            self._files[path].is_taken = True
        self._set_due()
        return taken

    def wait_longer(self, path: Path) -> bool:
        """Return whether the failure of a taken file is premature. If so, the file will be taken again.

        A failure is premature if the file was deleted or has changed since it was taken, or if it arrived moments ago
        and may still be growing.
        """
        file = (self._files or {}).get(path)
        if file is None or not file.is_taken or _version_and_age(path)[0] != file.version:
            return True
        if file.settle >= _PATIENCE_SECONDS or time.monotonic() >= file.changed + _PATIENCE_SECONDS:
            return False
        file.settle, file.is_taken = _PATIENCE_SECONDS, False
        self._set_due()
        return True

    def _set_due(self) -> None:
        files = (self._files or {}).values()
        self.due = min((file.due for file in files if not file.is_taken), default=math.inf)


def _version_and_age(path: Path) -> tuple[tuple[int, int] | None, float]:
    """Return a file's modification time and size, and the seconds since its contents or metadata last changed.

    The time and size are None if the file does not exist.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None, 0
    except (OSError, ValueError):  # stylizing the file will report the reason
        return (0, -1), math.inf
    age = time.time() - max(status.st_mtime, status.st_ctime)
    return (status.st_mtime_ns, status.st_size), max(0, age)
