"""Where stylekit keeps its files, and how it writes them: whole or not at all.

`STYLEKIT_HOME` puts cache and data under one folder (`cache/`, `data/`); otherwise they lie where the platform
wants them. Nothing here creates a folder before something is written into it.
"""

import errno
import os
import sys
from pathlib import Path

import platformdirs

from stylekit.errors import OutputExists

_NO_FSYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)  # what file systems without it answer


def _home(kind: str) -> Path | None:
    home = os.environ.get("STYLEKIT_HOME")
    return Path(home).expanduser() / kind if home else None


def cache_dir() -> Path:
    """Folder of everything that can be downloaded again."""
    return _home("cache") or platformdirs.user_cache_path("stylekit", appauthor=False)


def data_dir() -> Path:
    """Folder of what is the user's own: trained and imported styles."""
    return _home("data") or platformdirs.user_data_path("stylekit", appauthor=False)


def _move_to_free(temporary: Path, path: Path) -> None:
    """Move a file to a path that no other file may have, as one step that fails if there is one."""
    try:
        if sys.platform == "win32":
            temporary.rename(path)  # which replaces nothing there
            return
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # FAT, exFAT and some network shares have no hard links
            path.touch(exist_ok=False)
            temporary.replace(path)
    except FileExistsError as error:
        hint = "Replace it with --overwrite, or choose another --output."
        raise OutputExists(f"{path} already exists.", hint) from error
