"""Which files of watched folders are complete and new."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SETTLE_SECONDS = 1.0  # without a change, after which a file counts as complete
_PATIENCE_SECONDS = 10.0  # the same for a file that could not be read: network copies pause


@dataclass
class _File:
    """A file, as it was last seen.

    Attributes:
        version: Its time of modification in nanoseconds, and its size in bytes.
        changed: The `time.monotonic()` of its last known change.
        settle: Seconds without a change after which it counts as complete.
        is_taken: Whether this version was taken.
    """

    version: tuple[int, int]
    changed: float
    settle: float = SETTLE_SECONDS
    is_taken: bool = False

    @property
    def due(self) -> float:
        """The `time.monotonic()` from which it counts as complete; infinity for an empty file, yet to be filled."""
        return self.changed + self.settle if self.version[1] else math.inf


class Arrivals:
    """Tells which files are complete and new, one look at the folders after the other.

    A file is complete if its size and its time of modification have stayed the same for a second. It is new if it was
    not taken before, or has changed since.

    Attributes:
        due: The `time.monotonic()` at which the next file becomes complete if nothing changes; infinity if none will.
    """

    def __init__(self) -> None:
        self._files: dict[Path, _File] | None = None
        self.due = math.inf

    def take(self, paths: Iterable[Path]) -> set[Path]:
        """Return the complete and new files among all files that are in the folders now.

        Files of the first look count from their last change, so that only those that were just changed are waited for;
        the others count from the look that found them, because clocks of other machines and copied times are wrong.

        Args:
            paths: All files. Those that are missing are forgotten, and new again when they return.
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
        """Return whether a failure of a taken file is premature; it will then be taken again.

        It is if the file was deleted or has changed since it was taken, or if it arrived moments ago and may still
        grow.
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
    """Return a file's version, None if it does not exist, and the seconds since its last change of any kind."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None, 0
    except (OSError, ValueError):  # painting it will say why
        return (0, -1), math.inf
    age = time.time() - max(status.st_mtime, status.st_ctime)
    return (status.st_mtime_ns, status.st_size), max(0, age)
