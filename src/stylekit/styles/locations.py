"""Find the folders and files of the user's own, bundled and downloaded styles."""

from pathlib import Path

from stylekit.errors import StyleFileError
from stylekit.styles.names import STYLE_NAME_PATTERN, SUFFIX
from stylekit.system.paths import cache_dir, data_dir

_BUNDLED = Path(__file__).with_name("bundled")


def style_folders() -> dict[str, Path]:
    """Return the folders of style files, in the order in which names are looked up."""
    return {"own": own_styles_dir(), "bundled": bundled_styles_dir(), "cached": downloaded_styles_dir()}


def find_style(name: str) -> Path | None:
    """Return the file of the style with this name, or None if no local style has it.

    The user's own styles take precedence over bundled styles, and bundled styles over downloaded styles.

    Raises:
        StyleFileError: If a folder cannot be read.
    """
    candidates = (folder / f"{name}{SUFFIX}" for folder in style_folders().values())
    return next((path for path in candidates if _is_file(path)), None)


def where_is(path: Path) -> str:
    """Return where a style's file is: `own`, `bundled`, `cached`, or `file` for any other folder."""
    return next((where for where, folder in style_folders().items() if path.parent == folder), "file")


def is_bundled(name: str) -> bool:
    """Return whether the package ships a style with this name."""
    return (bundled_styles_dir() / f"{name}{SUFFIX}").is_file()


def style_names() -> list[str]:
    """Return the names of the styles on this machine, in alphabetical order.

    Raises:
        StyleFileError: If a folder cannot be read.
    """
    return sorted({path.stem for folder in style_folders().values() for path in style_files(folder)})


def style_files(folder: Path) -> list[Path]:
    """Return the style files in a folder, or no files if the folder does not exist.

    Raises:
        StyleFileError: If the folder cannot be read.
    """
    try:
        paths = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error
    return [p for p in paths if p.suffix == SUFFIX and STYLE_NAME_PATTERN.fullmatch(p.stem) and _is_file(p)]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError as error:
        raise _unreadable(path, error) from error
    except OSError:  # for example, if the name is too long
        return False


def _unreadable(path: Path, error: OSError) -> StyleFileError:
    hint = "Check the permissions of its folder, or set STYLEKIT_HOME to another folder."
    return StyleFileError(f"Cannot read {path}: {error.strerror}.", hint)


def own_styles_dir() -> Path:
    """Return the folder of trained and imported styles."""
    return data_dir() / "styles"


def downloaded_styles_dir() -> Path:
    """Return the folder of downloaded styles."""
    return cache_dir() / "styles"


def bundled_styles_dir() -> Path:
    """Return the folder of the styles that ship with the package."""
    return _BUNDLED
