"""What styles there are: the user's own, bundled with the package, downloaded."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stylekit.errors import StylekitError
from stylekit.paths import bundled_styles_dir, downloaded_styles_dir, own_styles_dir
from stylekit.style_file import SUFFIX, StyleMetadata, read_metadata


@dataclass(frozen=True)
class CatalogEntry:
    """A style that is at hand.

    Attributes:
        name: by which `apply` knows it: its file's name, which wins over what the metadata says.
        where: `own`, `bundled` or `downloaded`.
        path: its file.
        size: of the file, in bytes.
        metadata: what the file says; None where it cannot be read.
        problem: why it cannot be read; empty where it can.
    """

    name: str
    where: str
    path: Path
    size: int
    metadata: StyleMetadata | None
    problem: str = ""


def _shelves() -> dict[str, Path]:
    """Folders of style files, in the order in which a name is looked up."""
    return {"own": own_styles_dir(), "bundled": bundled_styles_dir(), "downloaded": downloaded_styles_dir()}


def find_style(name: str) -> Path | None:
    """Return the file of the style of this name; the user's own come first, then bundled, then downloaded ones."""
    candidates = (folder / f"{name}{SUFFIX}" for folder in _shelves().values())
    return next((path for path in candidates if path.is_file()), None)


def is_bundled(name: str) -> bool:
    """Tell whether the package ships a style of this name."""
    return (bundled_styles_dir() / f"{name}{SUFFIX}").is_file()


def style_names() -> list[str]:
    """Return the names of all styles at hand, in alphabetical order."""
    return sorted({path.stem for folder in _shelves().values() for path in _style_files(folder)})


def list_styles() -> list[CatalogEntry]:
    """Return the styles at hand in the order of their names; one that is hidden by another of its name is left out."""
    entries: dict[str, CatalogEntry] = {}
    for where, folder in _shelves().items():
        for path in _style_files(folder):
            entries.setdefault(path.stem, _entry(where, path))
    return sorted(entries.values(), key=lambda entry: entry.name)


def _style_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith(".") and path.is_file())


def _entry(where: str, path: Path) -> CatalogEntry:
    size = path.stat().st_size
    try:
        return CatalogEntry(path.stem, where, path, size, read_metadata(path))
    except StylekitError as error:
        return CatalogEntry(path.stem, where, path, size, None, error.message)
