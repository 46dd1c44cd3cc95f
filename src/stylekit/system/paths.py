"""The folders in which stylekit keeps its files.

`STYLEKIT_HOME` puts cache and data under one folder (`cache/`, `data/`); without it they are where the platform expects
them. No folder is created before a file is written into it.
"""

import os
from pathlib import Path

import platformdirs

OTHER_HOME = "set STYLEKIT_HOME to a folder on another disk"  # a remedy for `files.writing`


def cache_dir() -> Path:
    """Return the folder for everything that can be downloaded again."""
    return _in_stylekit_home("cache") or platformdirs.user_cache_path("stylekit", appauthor=False)


def data_dir() -> Path:
    """Return the folder for what belongs to the user: trained and imported styles."""
    return _in_stylekit_home("data") or platformdirs.user_data_path("stylekit", appauthor=False)


def _in_stylekit_home(name: str) -> Path | None:
    home = os.environ.get("STYLEKIT_HOME")
    return Path(home).expanduser() / name if home else None
