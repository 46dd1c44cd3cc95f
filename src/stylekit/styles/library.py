"""Locate, load, import, save, describe, export and remove styles by name."""

import dataclasses
import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stylekit.downloads.addresses import is_url
from stylekit.errors import ConfigError, OutputExists, StyleFileError, StyleNotFound
from stylekit.images.formats import READABLE_SUFFIXES
from stylekit.networks import architecture
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
    weights_suffix,
)
from stylekit.styles.style_file import StyleFile, is_style_file, load_style_file, reading, save_style_file
from stylekit.system.files import atomic_write, file_hash, writing

_SEE_LIST = "See `stylekit styles list` for the available styles."


def locate_style(style: str) -> Path:
    """Return the file of a style, given its name or path.

    Args:
        style: A name, which is looked up among the user's own, the bundled and the downloaded styles, in this order; or
            a path to a style file or to weights that can be imported.

    Raises:
        StyleNotFound: If the style does not exist; the hint suggests similar names.
        StyleFileError: If a folder of styles cannot be read.
    """
    if is_url(style):
        raise StyleNotFound(f"{style} is a URL.", f"Pull it first: `stylekit styles pull {style} --name NAME`.")
    if not is_path(style):
        path = find_style(style) if STYLE_NAME_PATTERN.fullmatch(style) else None
        if path is None:
            raise not_found(style)
        return path
    path = Path(style)
    with reading(path):
        if path.is_dir():
            raise StyleNotFound(f"{path} is a folder.", "Pass a style file inside it.")
        if not path.is_file():
            raise StyleNotFound(f"The style file {path} does not exist.", _SEE_LIST)
    return path


def load_style_file_by_name(style: str) -> StyleFile:
    """Load a style by name or path; see `locate_style`.

    Raises:
        StyleNotFound: If the style does not exist.
        StyleFileError: If the file cannot be read, is corrupt, or is not a style.
    """
    return read_style(locate_style(style))


def read_style(path: Path) -> StyleFile:
    """Load a style file, or import weights from another program.

    Raises:
        StyleFileError: If the file does not exist, cannot be read, is corrupt, or is not a style.
    """
    if weights_suffix(path) == SUFFIX and is_style_file(path):
        return load_style_file(path)
    label = style_label(str(path))
    return import_weights(path, label if STYLE_NAME_PATTERN.fullmatch(label) else "imported")


def not_found(name: str, catalogs: Sequence[str] = ()) -> StyleNotFound:
    """Return the error for a name that no local style has, with a hint if it is a remote or misspelled name.

    Args:
        name: The name that was looked up.
        catalogs: See `catalog.remote_styles`.
    """
    remote = [entry.name for entry in remote_styles(catalogs, on_problem=lambda error: None)]
    if name in remote:
        return StyleNotFound(
            f"The style {name} is not downloaded yet.",
            f"Download it with `stylekit styles pull {name}`, or add --pull to `stylekit apply`.",
        )
    near = difflib.get_close_matches(name, {*style_names(), *remote} - {name}, n=2, cutoff=0.5)
    return StyleNotFound(f"Unknown style {name!r}.", f"Did you mean {' or '.join(near)}?" if near else _SEE_LIST)


def check_free(name: str) -> None:
    """Check that the user can give this name to a new style.

    Raises:
        ConfigError: If the name is invalid, or is taken by another of the user's styles or a bundled style.
    """
    if is_bundled(check_style_name(name)):
        raise ConfigError(
            f"{name} is a bundled style.", "Choose another --name, or override the bundled style with --force."
        )
    if (own_styles_dir() / f"{name}{SUFFIX}").exists():
        raise ConfigError(
            f"You already have a style named {name}.", "Choose another --name, or replace it with --force."
        )


def save_own_style(style: StyleFile) -> Path:
    """Add a style to the user's styles, replacing any style with the same name.

    Returns:
        The style file.

    Raises:
        StyleFileError: If the style file cannot be written.
    """
    path = own_styles_dir() / f"{style.metadata.name}{SUFFIX}"
    save_style_file(style, path)
    return path


def import_style(source: str | os.PathLike[str], name: str, *, force: bool = False) -> Path:
    """Import a weights file as one of the user's styles.

    Args:
        source: A style file, or a weights file that another program wrote; see `names.IMPORTABLE_SUFFIXES`.
        name: The name to give to the style.
        force: Whether to replace one of the user's styles, or override a bundled style, with the same name.

    Returns:
        The style file.

    Raises:
        ConfigError: If the name is invalid or taken.
        StyleNotFound: If the source does not exist.
        StyleFileError: If the source cannot be read, is corrupt, or is not a style.
    """
    if force:
        check_style_name(name)
    else:
        check_free(name)
    path = Path(source)
    _check_source(path)
    style = read_style(path)
    return save_own_style(StyleFile(dataclasses.replace(style.metadata, name=name), style.weights))


def _check_source(source: Path) -> None:
    """Check that a file exists and can be imported; the hint of an error suggests the right command."""
    scheme, slash, rest = str(source).partition(":/")  # `Path` merges the two slashes of a URL
    if slash and scheme in ("http", "https", "hf"):
        raise StyleNotFound(f"{scheme}://{rest} is a URL.", f"Pull it: `stylekit styles pull {scheme}://{rest}`.")
    with reading(source):
        if source.is_dir():
            raise StyleFileError(f"{source} is a folder.", "Pass a weights file inside it.")
        if not source.is_file():
            raise StyleNotFound(f"{source} does not exist.", _hint_for_missing(source))
    if source.suffix.lower() in READABLE_SUFFIXES:
        raise StyleFileError(
            f"{source} is an image, not a weights file.",
            f"To train a style from a painting: `stylekit train {source} --content PHOTOS`.",
        )
    if not weights_suffix(source):
        raise StyleFileError(
            f"{source} does not have a supported suffix.",
            f"Supported suffixes: {', '.join((SUFFIX, *IMPORTABLE_SUFFIXES))}.",
        )


def _hint_for_missing(source: Path) -> str:
    """Return a hint for a file to import that does not exist: a similar file, or a style with this name."""
    files = [path.name for path in source.parent.iterdir() if weights_suffix(path)] if source.parent.is_dir() else []
    if near := difflib.get_close_matches(source.name, files, n=1):
        return f"Did you mean {source.with_name(near[0])}?"
    label = style_label(str(source))
    if label in style_names():
        return f"{label} is already a style: `stylekit apply PHOTO --style {label}`."
    if any(entry.name == label for entry in remote_styles(on_problem=lambda error: None)):
        return f"To download the style {label}: `stylekit styles pull {label}`."
    return "Check the path."


def remove_style(name: str, *, own: bool = False) -> Path:
    """Delete one of the user's styles, or a downloaded style.

    Args:
        name: The style's name.
        own: Whether the style may be one of the user's own, which cannot be downloaded again.

    Returns:
        The deleted file.

    Raises:
        StyleNotFound: If no style has this name.
        ConfigError: If the style is bundled, or the user's own and `own` is false.
        StyleFileError: If the file cannot be deleted.
    """
    path = find_style(check_style_name(name))
    if path is None:
        raise StyleNotFound(f"{name!r} is neither one of your styles nor a downloaded style.", _SEE_LIST)
    if path.parent == bundled_styles_dir():
        raise ConfigError(f"{name} is a bundled style, which cannot be removed.")
    if path.parent == own_styles_dir() and not own:
        raise ConfigError(
            f"{name} is one of your own styles, which cannot be downloaded again.", "Add --yes to delete it."
        )
    try:
        path.unlink()
    except OSError as error:
        raise StyleFileError(
            f"Cannot delete {path}: {error.strerror}.", "Check the permissions of its folder."
        ) from error
    return path


def style_info(name: str, catalogs: Sequence[str] = ()) -> dict[str, Any]:
    """Return everything known about a style, as JSON-serializable values.

    Args:
        name: The style's name or file.
        catalogs: See `catalog.remote_styles`.

    Returns:
        `name`, `where` (`own`, `bundled`, `cached`, `remote` or `file`), `size` in bytes, and the credits. For a remote
        style, also `url` and `sha256`; for a local style, also `path`, `file_sha256`, `parameters` and the metadata of
        its file.

    Raises:
        StyleNotFound: If the style does not exist.
        StyleFileError: If the style's file cannot be read, is corrupt, or is not a style.
    """
    if not is_path(name) and find_style(name) is None and (entry := find_remote(name, catalogs)) is not None:
        about = {"name": name, "where": entry.where, "size": entry.size, **dataclasses.asdict(entry.credits)}
        return {**about, "url": entry.url, "sha256": entry.sha256}
    path = locate_style(name)
    style = read_style(path)
    with reading(path):
        size, digest = path.stat().st_size, file_hash(path)
    return {
        **dataclasses.asdict(style.metadata),
        "name": style_label(name),
        "where": where_is(path),
        "path": str(path),
        "size": size,
        "file_sha256": digest,
        "parameters": sum(array.size for array in style.weights.values()),
    }


def export_style(style: str, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Export a style as an ONNX graph.

    Both its input `photo` and its output `picture` are `(B, 3, H, W)`, RGB in [0, 1], of any size.

    Args:
        style: The style's name or file.
        path: The file to write.
        force: Whether to replace an existing file.

    Raises:
        OutputExists: If the file exists and `force` is false.
        StyleNotFound: If the style does not exist.
        StyleFileError: If the style is corrupt, or the file cannot be written.
    """
    target = Path(path)
    if target.exists() and not force:
        raise OutputExists(f"{target} already exists.", "Choose another file, or replace it with --force.")
    loaded = load_style_file_by_name(style)
    model = architecture(loaded.metadata.network).onnx_model(loaded.metadata.network_config, loaded.weights)
    for key, value in loaded.metadata.to_strings().items():
        model.metadata_props.add(key=key, value=value)  # needed to import the graph again
    with writing(target, StyleFileError), atomic_write(target, overwrite=force) as temporary:
        temporary.write_bytes(model.SerializeToString())
