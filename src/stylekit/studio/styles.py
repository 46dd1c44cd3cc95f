"""List the styles to choose from: the styles on this machine, and style files that the user uploaded."""

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

MOST_STYLES = 50  # uploaded
MOST_STYLE_BYTES = 100_000_000


@dataclass(frozen=True)
class StyleChoice:
    """A style to choose from.

    Attributes:
        id: The style's id on the page.
        name: The style's name.
        where: `own`, `bundled`, `cached`, or `file` for an uploaded style file.
        path: The style's file.
        credits: Who made the style's painting and weights.
    """

    id: str
    name: str
    where: str
    path: Path
    credits: Credits

    @property
    def reference(self) -> str:
        """The reference that loads the style: its name, or the path of an uploaded file."""
        return str(self.path) if self.where == "file" else self.name

    @property
    def reference_for_user(self) -> str:
        """The reference in a command for the user: the style's name, or the name of the user's file."""
        return self.path.name if self.where == "file" else self.name

    def document(self) -> dict[str, Any]:
        """Return what the page shows about the style, as JSON-serializable values."""
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
    """The styles on this machine and uploaded style files. Thread-safe.

    Args:
        folder: The private folder for uploaded files.
    """

    def __init__(self, folder: Path) -> None:
        """Start with the styles on this machine."""
        self._folder = folder
        self._lock = threading.Lock()
        self._dropped: dict[str, StyleChoice] = {}
        self._local: dict[str, StyleChoice] = {}
        self.all()

    def all(self) -> list[StyleChoice]:
        """Return all styles: uploaded, then the user's own, bundled and cached styles."""
        local = {
            entry.name: StyleChoice(entry.name, entry.name, entry.where, entry.path, entry.credits)
            for entry in sorted(local_styles(), key=lambda entry: (entry.where != "own", entry.name))
            if entry.path is not None and not entry.problem
        }
        with self._lock:
            self._local = local
            return [*reversed(self._dropped.values()), *local.values()]

    def get(self, id: str) -> StyleChoice:
        """Return the style with this id.

        Raises:
            StyleNotFound: If the style does not exist.
        """
        with self._lock:
            style = self._dropped.get(id) or self._local.get(id)
        if style is None:
            raise StyleNotFound(f"Unknown style {id[:80]!r}.", "Reload this page.")
        return style

    def begin(self, name: str, size: int) -> Path:
        """Return the path to which to write an upload, in a new folder that does not exist yet.

        Args:
            name: The file's name.
            size: The file's size in bytes, which is ignored: only the number of files is limited.

        Raises:
            ConfigError: If the studio has too many style files.
        """
        with self._lock:
            if len(self._dropped) >= MOST_STYLES:
                raise ConfigError(
                    f"The studio takes up to {MOST_STYLES} style files.",
                    "Import the styles instead: `stylekit styles import`.",
                )
        return self._folder / f"style-{secrets.token_hex(8)}" / clean_name(name)

    def discard(self, path: Path) -> None:
        """Delete a file that is not a style."""
        shutil.rmtree(path.parent, ignore_errors=True)

    def add(self, path: Path) -> StyleChoice:
        """Add an uploaded style file.

        Raises:
            StyleFileError: If the file is not a style file.
        """
        suffix = path.suffix.lower()
        if suffix in READABLE_SUFFIXES:
            raise StyleFileError(
                f"{path.name} is an image. A painting must be trained as a style first.",
                f"Train it with `stylekit train {path.name} --content coco`, then reload this page.",
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
