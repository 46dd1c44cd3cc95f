"""From names to style files: resolve, import, keep, export, remove."""

import dataclasses
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stylekit.downloads.addresses import is_url
from stylekit.errors import ConfigError, OutputExists, StyleFileError, StyleNotFound
from stylekit.styles.catalog import find_remote, remote_styles
from stylekit.styles.importers import import_weights
from stylekit.styles.locations import bundled_styles_dir, find_style, is_bundled, own_styles_dir, style_names, where_is
from stylekit.styles.names import (
    IMPORTABLE_SUFFIXES,
    STYLE_NAME_PATTERN,
    SUFFIX,
    check_style_name,
    is_path,
    style_label,
)
from stylekit.styles.style_file import StyleFile, load_style_file, save_style_file
from stylekit.system.files import atomic_write, file_hash


def locate_style(style: str) -> Path:
    """Return a style's file.

    Args:
        style: a name, looked up among the user's own styles, the bundled ones and the downloaded ones; or a path to a
            style file or to weights that can be imported.

    Raises:
        StyleNotFound: if there is none; says which names are near.
    """
    if is_url(style):
        raise StyleNotFound(f"{style} is an address.", f"Pull it first: `stylekit styles pull {style} --name NAME`.")
    if not is_path(style):
        found = find_style(style) if STYLE_NAME_PATTERN.fullmatch(style) else None
        if found is None:
            raise not_found(style)
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
    return read_style(locate_style(style))


def read_style(path: Path) -> StyleFile:
    """Load a style file, or import weights.

    Raises:
        StyleFileError: if the file is damaged or no style.
    """
    return load_style_file(path) if path.suffix.lower() == SUFFIX else import_weights(path, _name_from(path))


def _name_from(path: Path) -> str:
    """The file's stem as a style's name, or a stand-in where it cannot be one."""
    return path.stem if STYLE_NAME_PATTERN.fullmatch(path.stem) else "imported"


def not_found(name: str, catalogs: Sequence[str] = ()) -> StyleNotFound:
    """Return the error for a name that no style at hand has: it may be remote, or a slip of the pen."""
    remote = [entry.name for entry in remote_styles(catalogs, on_problem=lambda error: None)]
    if name in remote:
        return StyleNotFound(
            f"The style {name} is not downloaded yet.",
            f"Fetch it with `stylekit styles pull {name}`, or paint with `stylekit apply --pull`.",
        )
    near = difflib.get_close_matches(name, {*style_names(), *remote} - {name}, n=2, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else "See `stylekit styles list` for the styles there are."
    return StyleNotFound(f"There is no style {name!r}.", hint)


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
        source: a `.pth` or `.onnx` file, or a style file.
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
        raise StyleFileError(
            f"{source} has no suffix of a weights file.", f"Use one of {', '.join((SUFFIX, *IMPORTABLE_SUFFIXES))}."
        )
    style = read_style(locate_style(str(source)))
    return save_own_style(StyleFile(dataclasses.replace(style.metadata, name=name), style.weights))


def remove_style(name: str, *, own: bool = False) -> Path:
    """Delete a style of one's own, or else from the cache.

    Args:
        name: the style's name.
        own: whether a style of one's own may be deleted; nothing brings it back.

    Returns:
        The file that it was.

    Raises:
        StyleNotFound: if there is none of this name.
        ConfigError: if it is bundled, or the user's own and `own` is not set.
    """
    path = find_style(check_style_name(name))
    if path is None:
        raise StyleNotFound(f"There is no style {name!r} of yours, or in the cache.", "See `stylekit styles list`.")
    if path.parent == bundled_styles_dir():
        raise ConfigError(f"{name} is bundled with stylekit and stays.")
    if path.parent == own_styles_dir() and not own:
        raise ConfigError(f"{name} is a style of your own, which cannot be fetched again.", "Add --yes to delete it.")
    try:
        path.unlink()
    except OSError as error:
        raise StyleFileError(f"{path} cannot be deleted: {error.strerror}.") from None
    return path


def describe_style(name: str, catalogs: Sequence[str] = ()) -> dict[str, Any]:
    """Return all that is known of a style, as JSON's types.

    Args:
        name: a style's name or file.
        catalogs: see `catalog.remote_styles`.

    Raises:
        StyleNotFound: if there is none.
        StyleFileError: if its file is damaged.
    """
    if not is_path(name) and find_style(name) is None and (entry := find_remote(name, catalogs)) is not None:
        about = {"name": name, "where": entry.where, "size": entry.size, **dataclasses.asdict(entry.credits)}
        return {**about, "url": entry.url, "sha256": entry.sha256}
    path = locate_style(name)
    style = read_style(path)
    return {
        **dataclasses.asdict(style.metadata),
        "name": style_label(name),
        "where": where_is(path),
        "path": str(path),
        "size": path.stat().st_size,
        "file_sha256": file_hash(path),
        "parameters": sum(array.size for array in style.weights.values()),
    }


def export_style(style: str, path: Path, *, force: bool = False) -> None:
    """Write a style as an ONNX graph.

    Args:
        style: a style's name or file.
        path: the file to write.
        force: whether a file that is there may be replaced.

    Raises:
        OutputExists: if there is a file and `force` is not set.
        StyleNotFound: if there is no such style.
        StyleFileError: if the style is damaged, or the file cannot be written.
    """
    from stylekit.networks import architecture

    if path.exists() and not force:
        raise OutputExists(f"{path} exists already.", "Choose another file, or replace it with --force.")
    loaded = load_style_file_by_name(style)
    model = architecture(loaded.metadata.network).onnx_model(loaded.metadata.network_config, loaded.weights)
    for key, value in loaded.metadata.to_strings().items():
        model.metadata_props.add(key=key, value=value)  # so that it can be imported again
    try:
        with atomic_write(path, overwrite=force) as temporary:
            temporary.write_bytes(model.SerializeToString())
    except OSError as error:
        raise StyleFileError(f"{path} cannot be written: {error.strerror}.", "May you write there?") from None
