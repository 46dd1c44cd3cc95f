"""The styles to choose from: those of this machine, and files that the user dropped in."""

import secrets
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylekit.errors import ConfigError, StyleFileError, StyleNotFound
from stylekit.images.formats import READABLE_SUFFIXES
from stylekit.studio.photos import clean_name
from stylekit.styles.catalog import local_styles
from stylekit.styles.names import IMPORTABLE_SUFFIXES, SUFFIX, style_label
from stylekit.styles.style_file import Credits, is_style_file, load_style_file

MOST_STYLES = 50  # dropped in
MOST_STYLE_BYTES = 100_000_000


@dataclass(frozen=True)
class StyleChoice:
    """A style to choose.

    Attributes:
        id: Its id on the page.
        name: Its name.
        where: `own`, `bundled`, `cached`, or `file` for one that was dropped in.
        path: Its file.
        credits: Who made its painting.
    """

    id: str
    name: str
    where: str
    path: Path
    credits: Credits

    @property
    def reference(self) -> str:
        """What `apply` loads it by: its name, or the path of a file that was dropped in."""
        return str(self.path) if self.where == "file" else self.name

    @property
    def reference_for_user(self) -> str:
        """What the user's command line names it by: its name, or the name of the file."""
        return self.path.name if self.where == "file" else self.name

    def document(self) -> dict[str, Any]:
        """Return what the page shows of it, as JSON types."""
        about = self.credits
        return {
            "id": self.id,
            "name": self.name,
            "where": self.where,
            "title": about.title or self.name,
            "artist": about.artist,
            "year": about.year,
        }


class Styles:
    """The styles of this machine, and files in a private folder. For any thread.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        """Start with the styles of this machine."""
        self._folder = folder
        self._lock = threading.Lock()
        self._dropped: dict[str, StyleChoice] = {}
        self._local: dict[str, StyleChoice] = {}
        self.all()

    def all(self) -> list[StyleChoice]:
        """Return the styles: those dropped in, the user's own, then bundled and cached ones."""
        local = {
            entry.name: StyleChoice(entry.name, entry.name, entry.where, entry.path, entry.credits)
            for entry in sorted(local_styles(), key=lambda entry: (entry.where != "own", entry.name))
            if entry.path is not None and not entry.problem
        }
        with self._lock:
            self._local = local
            return [*reversed(self._dropped.values()), *local.values()]

    def get(self, id: str) -> StyleChoice:
        """Return a style.

        Raises:
            StyleNotFound: If it does not exist.
        """
        with self._lock:
            style = self._dropped.get(id) or self._local.get(id)
        if style is None:
            raise StyleNotFound(f"Unknown style {id[:80]!r}.", "Reload this page.")
        return style

    def begin(self, name: str, size: int) -> Path:
        """Return where to write a file that is dropped in, in a new folder of its own that does not exist yet.

        Args:
            name: The file's name.
            size: Its size in bytes; the number of files is what is limited.

        Raises:
            ConfigError: If there are too many.
        """
        with self._lock:
            if len(self._dropped) >= MOST_STYLES:
                raise ConfigError(f"The studio takes up to {MOST_STYLES} style files.", "Import styles to keep them.")
        return self._folder / f"style-{secrets.token_hex(8)}" / clean_name(name)

    def discard(self, path: Path) -> None:
        """Delete a file that is not a style."""
        shutil.rmtree(path.parent, ignore_errors=True)

    def add(self, path: Path) -> StyleChoice:
        """Add a file that was dropped in. This is where a painting will become a style.

        Raises:
            StyleFileError: If it is not a style file.
        """
        suffix = path.suffix.lower()
        if suffix in READABLE_SUFFIXES:
            raise StyleFileError(
                f"{path.name} is an image. A painting cannot be used as a style at once: it must be learned first.",
                f"Learn it with `stylekit train {path.name} --content coco`, then reload this page.",
            )
        if suffix in IMPORTABLE_SUFFIXES:
            raise StyleFileError(
                f"{path.name} was written by another program.",
                f"Import it with `stylekit styles import {path.name} --name NAME`, then reload this page.",
            )
        if suffix != SUFFIX or not is_style_file(path):
            raise StyleFileError(f"{path.name} is not a style file.", f"Style files end in {SUFFIX}.")
        credits = load_style_file(path).metadata.credits
        name = style_label(str(path))
        style = StyleChoice(f"{name}@{path.parent.name.removeprefix('style-')}", name, "file", path, credits)
        with self._lock:
            self._dropped[style.id] = style
        return style
