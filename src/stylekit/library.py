"""From names to style files: resolve, import, keep."""

import dataclasses
import difflib
from pathlib import Path

from stylekit.catalog import find_style, is_bundled, style_names
from stylekit.config import STYLE_NAME_PATTERN, check_style_name
from stylekit.errors import ConfigError, StyleFileError, StyleNotFound
from stylekit.importers import IMPORTABLE_SUFFIXES, import_weights
from stylekit.paths import own_styles_dir
from stylekit.style_file import SUFFIX, StyleFile, load_style_file, save_style_file


def is_path(style: str) -> bool:
    """Tell whether a style argument is a path: it has a separator or a weights file's suffix."""
    return "/" in style or "\\" in style or Path(style).suffix.lower() in {SUFFIX, *IMPORTABLE_SUFFIXES}


def style_label(style: str) -> str:
    """Return the name that stands for a style argument in output file names: a name itself, a path's stem."""
    return Path(style).stem if is_path(style) else style


def locate_style(style: str) -> Path:
    """Return a style's file.

    Args:
        style: a name, looked up among the user's own styles, the bundled ones and the downloaded ones; or a path to a
            style file or to weights that can be imported.

    Raises:
        StyleNotFound: if there is none; says which names are near.
    """
    if not is_path(style):
        found = find_style(style) if STYLE_NAME_PATTERN.fullmatch(style) else None
        if found is None:
            raise StyleNotFound(f"There is no style {style!r}.", _suggestion(style))
        return found
    if not Path(style).is_file():
        raise StyleNotFound(f"There is no style file {style}.", "See `stylekit styles list` for the styles at hand.")
    return Path(style)


def load_style_file_by_name(style: str) -> StyleFile:
    """Load a style by name or path; see `locate_style`.

    Raises:
        StyleNotFound: if there is none.
        StyleFileError: if the file is damaged or no style.
    """
    return _load(locate_style(style))


def _load(path: Path) -> StyleFile:
    return load_style_file(path) if path.suffix.lower() == SUFFIX else import_weights(path, _name_from(path))


def _name_from(path: Path) -> str:
    """The file's stem as a style's name, or a stand-in where it cannot be one."""
    return path.stem if STYLE_NAME_PATTERN.fullmatch(path.stem) else "imported"


def _suggestion(name: str) -> str:
    near = difflib.get_close_matches(name, style_names(), n=2, cutoff=0.5)
    return f"Did you mean {' or '.join(near)}?" if near else "See `stylekit styles list` for the styles at hand."


def check_free(name: str) -> None:
    """Make sure that a new style of one's own may have this name.

    Raises:
        ConfigError: if it cannot be a name, is taken, or hides a bundled style.
    """
    if is_bundled(check_style_name(name)):
        raise ConfigError(f"{name} is a bundled style.", "Choose another --name, or hide the bundled one with --force.")
    if (own_styles_dir() / f"{name}{SUFFIX}").exists():
        raise ConfigError(f"You have a style {name} already.", "Choose another --name, or replace it with --force.")


def save_own_style(style: StyleFile) -> Path:
    """Keep a style among the user's own under its name; one of that name is replaced.

    Returns:
        The file it was written to.

    Raises:
        StyleFileError: if it cannot be written.
    """
    path = own_styles_dir() / f"{style.metadata.name}{SUFFIX}"
    save_style_file(style, path)
    return path


def import_style(source: Path, name: str, *, force: bool = False) -> Path:
    """Turn a weights file into a style of the user's own.

    Args:
        source: a `.pth` file, or a style file.
        name: the name it is to have.
        force: whether it may replace a style of one's own, or hide a bundled one.

    Returns:
        The style file.

    Raises:
        ConfigError: if the name is taken or cannot be a name.
        StyleNotFound: if the source does not exist.
        StyleFileError: if the source is no style that stylekit knows.
    """
    if force:
        check_style_name(name)
    else:
        check_free(name)
    if not is_path(str(source)):
        raise StyleFileError(f"{source} has no suffix of a weights file.", f"Use one of {SUFFIX}, .pth.")
    style = _load(locate_style(str(source)))
    return save_own_style(StyleFile(dataclasses.replace(style.metadata, name=name), style.weights))
