"""The folders of style files: own, bundled, downloaded."""

from collections.abc import Iterator
from pathlib import Path

from stylekit.styles.names import STYLE_NAME_PATTERN, SUFFIX
from stylekit.system.paths import cache_dir, data_dir

_BUNDLED = Path(__file__).with_name("bundled")


def style_folders() -> dict[str, Path]:
    """Folders of style files, in the order in which a name is looked up."""
    return {"own": own_styles_dir(), "bundled": bundled_styles_dir(), "cached": downloaded_styles_dir()}


def find_style(name: str) -> Path | None:
    """Return the file of the style of this name; the user's own come first, then bundled, then cached ones."""
    candidates = (folder / f"{name}{SUFFIX}" for folder in style_folders().values())
    return next((path for path in candidates if path.is_file()), None)


def where_is(path: Path) -> str:
    """Tell where a style's file lies: `own`, `bundled`, `cached`, or `file` for any other place."""
    return next((where for where, folder in style_folders().items() if path.parent == folder), "file")


def is_bundled(name: str) -> bool:
    """Tell whether the package ships a style of this name."""
    return (bundled_styles_dir() / f"{name}{SUFFIX}").is_file()


def style_names() -> list[str]:
    """Return the names of all styles at hand, in alphabetical order."""
    return sorted({path.stem for folder in style_folders().values() for path in style_files(folder)})


def style_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob(f"*{SUFFIX}") if STYLE_NAME_PATTERN.fullmatch(path.stem) and path.is_file())


def own_styles_dir() -> Path:
    """Folder of trained and imported styles."""
    return data_dir() / "styles"


def downloaded_styles_dir() -> Path:
    """Folder of pulled styles."""
    return cache_dir() / "styles"


def bundled_styles_dir() -> Path:
    """Folder of the styles that ship with the package."""
    return _BUNDLED
