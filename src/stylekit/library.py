"""From names to style files: resolve, pull, import, keep, remove."""

import contextlib
import dataclasses
import difflib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from stylekit.addresses import is_url, plain_url
from stylekit.catalog import (
    MOST_STYLE_BYTES,
    CatalogEntry,
    find_remote,
    find_style,
    is_bundled,
    remote_styles,
    shelf_of,
    style_names,
)
from stylekit.config import STYLE_NAME_PATTERN, check_style_name
from stylekit.download import Progress, fetch, locked
from stylekit.errors import ConfigError, OutputExists, StyleFileError, StyleNotFound
from stylekit.importers import IMPORTABLE_SUFFIXES, import_weights
from stylekit.paths import (
    atomic_write,
    bundled_styles_dir,
    cache_dir,
    downloaded_styles_dir,
    file_hash,
    own_styles_dir,
)
from stylekit.style_file import SUFFIX, StyleFile, load_style_file, read_metadata, save_style_file


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
            raise _not_found(style)
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


def _not_found(name: str, catalogs: Sequence[str] = ()) -> StyleNotFound:
    remote = [entry.name for entry in remote_styles(catalogs)]
    if name in remote:
        return StyleNotFound(
            f"The style {name} is not downloaded yet.", f"Fetch it with `stylekit styles pull {name}`, or add --pull."
        )
    near = difflib.get_close_matches(name, {*style_names(), *remote}, n=2, cutoff=0.5)
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


def pull_style(
    style: str,
    *,
    sha256: str = "",
    name: str | None = None,
    catalogs: Sequence[str] = (),
    force: bool = False,
    on_progress: Progress = lambda done, total: None,
) -> Path:
    """Fetch a style into the cache, unless it is there already and sound.

    Args:
        style: a name from a catalog, or the address (`https://…`, `hf://user/repo/file`) of a style file or of weights
            that can be imported.
        sha256: hash of the file at an address; empty where it is not known.
        name: the name that a style from an address is to have; by default its file's.
        catalogs: see `catalog.remote_styles`.
        force: whether a style from an address may replace another one of that name in the cache.
        on_progress: called after each piece of the download.

    Returns:
        The style file; for a bundled style, or one of the user's own, that file.

    Raises:
        StyleNotFound: if no catalog has the name.
        ConfigError: if the name cannot be one, or is taken.
        CatalogError: if a catalog cannot be had.
        DownloadError: if the file cannot be had.
        StyleFileError: if it is no style that stylekit knows; nothing is kept.
    """
    if is_url(style):
        entry = _entry_at(style, sha256.lower(), name, force)
    else:
        if sha256 or name:
            raise ConfigError("A hash and a name go with an address; a catalog has its own.", "Leave them out.")
        at_hand = find_style(style) if STYLE_NAME_PATTERN.fullmatch(style) else None
        if at_hand is not None and at_hand.parent != downloaded_styles_dir():
            return at_hand
        found = find_remote(style, catalogs)
        if found is None:
            raise _not_found(style, catalogs)
        entry = found
    return _pull(entry, on_progress)


def _entry_at(url: str, sha256: str, name: str | None, force: bool) -> CatalogEntry:
    """The entry that a catalog would have for the file at an address."""
    file = Path(unquote(urlsplit(plain_url(url)).path)).name
    suffix = Path(file).suffix.lower()
    if suffix not in {SUFFIX, *IMPORTABLE_SUFFIXES}:
        raise ConfigError(f"{url} does not end like a style ({SUFFIX}, .onnx, .pth).", "Name the file itself.")
    if name is None and not STYLE_NAME_PATTERN.fullmatch(Path(file).stem):
        raise ConfigError(f"{Path(file).stem!r} cannot name a style.", "Choose a name with --name.")
    name = check_style_name(name or Path(file).stem)
    if is_bundled(name) or (own_styles_dir() / f"{name}{SUFFIX}").exists():
        raise ConfigError(f"There is a style {name} already, which would hide this one.", "Choose another --name.")
    cached = downloaded_styles_dir() / f"{name}{SUFFIX}"
    if not force and cached.exists() and _origin(cached) != plain_url(url):
        raise ConfigError(f"A style {name} was pulled from elsewhere.", "Choose another --name, or add --force.")
    return CatalogEntry(name, "remote", MOST_STYLE_BYTES, url=url, sha256=sha256)


def _origin(path: Path) -> str | None:
    """The address that a style in the cache was pulled from; None where that cannot be told."""
    with contextlib.suppress(StyleFileError):
        return read_metadata(path).downloaded.get("url")
    return None


def _pull(entry: CatalogEntry, on_progress: Progress) -> Path:
    url = plain_url(entry.url)
    target = downloaded_styles_dir() / f"{entry.name}{SUFFIX}"
    suffix = Path(urlsplit(url).path).suffix.lower()
    published = cache_dir() / "downloads" / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}{suffix}"
    if _is_pulled(target, entry):
        return target
    with locked(target):
        if _is_pulled(target, entry):  # by another process, meanwhile
            return target
        try:
            fetch(url, published, sha256=entry.sha256, most_bytes=entry.size, on_progress=on_progress)
            style = _load(published)
            changes: dict[str, Any] = {"name": entry.name, "downloaded": {"url": url, "sha256": file_hash(published)}}
            if suffix != SUFFIX:
                changes["source"] = url
            changes |= {key: value for key, value in dataclasses.asdict(entry.credits).items() if value}
            metadata = dataclasses.replace(style.metadata, **changes)
            save_style_file(StyleFile(metadata, style.weights), target)
        except StyleFileError as error:
            raise StyleFileError(error.message.replace(str(published), entry.url), error.hint) from None
        finally:
            published.unlink(missing_ok=True)
    return target


def _is_pulled(path: Path, entry: CatalogEntry) -> bool:
    try:
        downloaded = load_style_file(path).metadata.downloaded
    except StyleFileError:
        return False
    return bool(entry.sha256) and downloaded.get("sha256") == entry.sha256


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
        raise _not_found(name)
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
    style = load_style_file_by_name(name)
    return {
        **dataclasses.asdict(style.metadata),
        "name": style_label(name),
        "where": shelf_of(path),
        "path": str(path),
        "size": path.stat().st_size,
        "sha256": file_hash(path),
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
    from stylekit.networks.onnx_graph import build_graph

    if path.exists() and not force:
        raise OutputExists(f"{path} exists already.", "Choose another file, or replace it with --force.")
    loaded = load_style_file_by_name(style)
    model = build_graph(loaded.metadata.network, loaded.metadata.network_config, loaded.weights)
    try:
        with atomic_write(path) as temporary:
            temporary.write_bytes(model.SerializeToString())
    except OSError as error:
        raise StyleFileError(f"{path} cannot be written: {error.strerror}.", "May you write there?") from None
