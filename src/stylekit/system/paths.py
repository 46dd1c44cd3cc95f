"""Locate the folders in which stylekit stores files, and check the working folder.

If `STYLEKIT_HOME` is set, it contains the cache and the data folder (`cache/`, `data/`). Otherwise they are in the
platform's usual places. No folder is created before a file is written to it.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from stylekit.errors import StylekitError

OTHER_HOME = "set STYLEKIT_HOME to a folder on another disk"  # a hint for `files.writing`


def cache_dir() -> Path:
    """Return the folder for files that can be downloaded or computed again."""
    return _in_stylekit_home("cache") or platformdirs.user_cache_path("stylekit", appauthor=False)


def data_dir() -> Path:
    """Return the folder for the user's own files: trained and imported styles."""
    return _in_stylekit_home("data") or platformdirs.user_data_path("stylekit", appauthor=False)


def _in_stylekit_home(name: str) -> Path | None:
    home = os.environ.get("STYLEKIT_HOME")
    return Path(home).expanduser() / name if home else None


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; false if the path is unreadable."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises an error for an unreadable path


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file; false if the path is unreadable."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises an error for an unreadable path


def exists(path: Path | str) -> bool:
    """Return whether a path exists; false if the path is unreadable."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises an error for an unreadable path


def working_folder_error() -> StylekitError | None:
    """Return an error if the working folder was deleted, which makes relative paths meaningless; otherwise None."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return StylekitError("The working folder no longer exists.", "Change to another folder with `cd`.")
    return None


@contextlib.contextmanager
def working_folder_errors() -> Iterator[None]:
    """Turn an `OSError` in the block into a clear error if the working folder was deleted.

    Raises:
        StylekitError: If the block raises an `OSError` and the working folder no longer exists.
    """
    try:
        yield
    except OSError as error:
        if (missing := working_folder_error()) is not None:
            raise missing from error
        raise
