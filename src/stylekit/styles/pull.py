"""Find styles in catalogs or at a URL, and download, verify, convert and cache them."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stylekit.downloads.addresses import file_at, is_url, plain_url
from stylekit.downloads.download import OnProgress, fetch
from stylekit.errors import CatalogError, ConfigError, DownloadError, StyleFileError
from stylekit.styles.catalog import PULLABLE_SUFFIXES, CatalogEntry, remote_styles
from stylekit.styles.catalog_format import MAX_STYLE_BYTES, SHA256_PATTERN
from stylekit.styles.library import not_found, read_style
from stylekit.styles.locations import downloaded_styles_dir, find_style, is_bundled, own_styles_dir
from stylekit.styles.names import STYLE_NAME_PATTERN, SUFFIX, check_style_name, is_path
from stylekit.styles.style_file import StyleFile, load_style_file, read_metadata, reading, save_style_file
from stylekit.system.files import clear_stale, file_hash
from stylekit.system.locks import finally_do, locked
from stylekit.system.paths import OTHER_HOME, cache_dir


def pull_style(
    style: str,
    *,
    sha256: str | None = None,
    name: str | None = None,
    catalogs: Sequence[str] = (),
    force: bool = False,
    on_progress: OnProgress = lambda done, total: None,
) -> Path:
    """Download a style into the cache, unless an intact copy is already cached.

    Args:
        style: A name from a catalog, or the URL (`https://…`, `hf://user/repo/file`) of a style file or of an ONNX
            graph that can be imported.
        sha256: The expected hash of the file at a URL; None if unknown.
        name: The name for a style from a URL; the name of its file by default.
        catalogs: See `catalog.remote_styles`.
        force: Whether to replace a style with this name that was pulled from another URL.
        on_progress: Called after each piece of the download.

    Returns:
        The file in the cache; for a bundled style or one of the user's own, its existing file.

    Raises:
        StyleNotFound: If no catalog has the name.
        ConfigError: If the name is invalid or taken, or the hash invalid.
        CatalogError: If a catalog cannot be read.
        DownloadError: If the file cannot be downloaded.
        StyleFileError: If the file is not a style that stylekit supports; the download is deleted.
    """
    found = Finder(catalogs).find(style, sha256=sha256, name=name)
    return found if isinstance(found, Path) else fetch_style(found, force=force, on_progress=on_progress)


class Finder:
    """Finds the styles to pull, reading the catalogs only once.

    Args:
        catalogs: See `catalog.remote_styles`.
    """

    def __init__(self, catalogs: Sequence[str] = ()) -> None:
        self._catalogs = catalogs
        self._entries: dict[str, CatalogEntry] | None = None
        self._problems: list[CatalogError] = []

    def find(self, style: str, *, sha256: str | None = None, name: str | None = None) -> CatalogEntry | Path:
        """Return the catalog entry of a style to download, or the file of a local style; see `pull_style`.

        Raises:
            StyleNotFound: If no catalog has the name.
            ConfigError: If the name is invalid or taken, or the hash invalid.
            CatalogError: If a catalog cannot be read.
            DownloadError: If the URL is invalid.
            StyleFileError: If the cached file is corrupt and no catalog lists the style.
        """
        if is_url(style):
            named = _entry_at(style, sha256, name)
            if (listed := self.entries().get(named.name)) and plain_url(listed.url) != plain_url(named.url):
                raise ConfigError(f"A catalog already has a style named {named.name}.", "Choose another --name.")
            return named
        if sha256 is not None or name is not None:
            raise ConfigError("--sha256 and --name need a URL, not the name of a style.", "Leave them out.")
        if is_path(style):
            raise ConfigError(f"{style} is a file, not a URL.", f"Import it: `stylekit styles import {style}`.")
        path = find_style(style) if STYLE_NAME_PATTERN.fullmatch(style) else None
        if path is not None and path.parent != downloaded_styles_dir():
            return path
        if entry := self.entries().get(style):
            return entry
        if path is not None:
            load_style_file(path)  # raises an error if the file is corrupt
            return path
        if self._problems:
            raise self._problems[0]
        raise not_found(style, self._catalogs)

    def entries(self) -> dict[str, CatalogEntry]:
        """Return the remote styles by name."""
        if self._entries is None:
            remote = remote_styles(self._catalogs, on_problem=self._problems.append)
            self._entries = {entry.name: entry for entry in remote}
        return self._entries


def _entry_at(url: str, sha256: str | None, name: str | None) -> CatalogEntry:
    """Return the entry that a catalog would have for the file at a URL."""
    if sha256 is not None and not SHA256_PATTERN.fullmatch(sha256.lower()):
        raise ConfigError(f"Invalid --sha256 {sha256!r}.", "A SHA-256 has 64 hexadecimal digits.")
    file = file_at(plain_url(url))
    if file.suffix.lower() not in PULLABLE_SUFFIXES:
        raise ConfigError(
            f"{url} does not end in {' or '.join(PULLABLE_SUFFIXES)}.",
            "Pass the URL of a style file. Download other weights yourself and import them: `stylekit styles import`.",
        )
    if name is None and not STYLE_NAME_PATTERN.fullmatch(file.stem):
        raise ConfigError(f"Invalid style name {file.stem!r}.", "Choose a name with --name.")
    name = check_style_name(name or file.stem)
    if is_bundled(name) or (own_styles_dir() / f"{name}{SUFFIX}").exists():
        raise ConfigError(f"A local style named {name} would take precedence over this one.", "Choose another --name.")
    return CatalogEntry(name, "remote", MAX_STYLE_BYTES, url=url, sha256=(sha256 or "").lower())


def fetch_style(
    entry: CatalogEntry, *, force: bool = False, on_progress: OnProgress = lambda done, total: None
) -> Path:
    """Download the style of a catalog entry, unless an intact copy is already cached; see `pull_style`.

    Raises:
        ConfigError: If a style with this name was pulled from another URL, and `force` is false.
        DownloadError: If the file cannot be downloaded.
        StyleFileError: If the file is not a style that stylekit supports; the download is deleted.
    """
    url = plain_url(entry.url)
    target = downloaded_styles_dir() / f"{entry.name}{SUFFIX}"
    with reading(target):
        if target.is_dir():
            raise StyleFileError(f"{target} is a folder.", "Move or delete it.")
    if _is_fetched(target, entry):
        return target
    with locked(target, DownloadError, OTHER_HOME):
        clear_stale(target.parent)
        if _is_fetched(target, entry):  # another process may have downloaded the style in the meantime
            return target
        if not force and _origin(target) not in (None, url):
            raise ConfigError(
                f"The cached style {entry.name} was pulled from {_origin(target)}.",
                "Replace it with --force. For a style from a URL, you can also choose another --name.",
            )
        suffix = file_at(url).suffix.lower()
        published = cache_dir() / "downloads" / f"{entry.name}{suffix}"
        with finally_do(lambda: _remove(published)):
            fetch(url, published, sha256=entry.sha256, most_bytes=entry.size, on_progress=on_progress)
            save_style_file(_converted(published, entry, url), target)
    return target


def _converted(published: Path, entry: CatalogEntry, url: str) -> StyleFile:
    """Return the style in a downloaded file, with the catalog entry's name and credits, and the file's URL and hash."""
    try:
        style = read_style(published)
    except StyleFileError as error:
        raise StyleFileError(error.message.replace(str(published), entry.url), error.hint) from error
    changes: dict[str, Any] = {"name": entry.name, "downloaded": {"url": url, "sha256": file_hash(published)}}
    if published.suffix != SUFFIX:
        changes["source"] = url
    changes |= {key: value for key, value in dataclasses.asdict(entry.credits).items() if value}
    return StyleFile(dataclasses.replace(style.metadata, **changes), style.weights)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _origin(path: Path) -> str | None:
    """Return the URL that a cached style was pulled from; None if the file is missing or does not record a URL."""
    with contextlib.suppress(StyleFileError):
        return read_metadata(path).downloaded.get("url")
    return None


def _is_fetched(path: Path, entry: CatalogEntry) -> bool:
    try:
        downloaded = load_style_file(path).metadata.downloaded
    except StyleFileError as error:
        if isinstance(error.__cause__, PermissionError):  # the file may be intact
            raise
        return False
    return bool(entry.sha256) and downloaded.get("sha256") == entry.sha256
