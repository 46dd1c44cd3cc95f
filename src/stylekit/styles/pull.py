"""Styles from the network into the cache: found in catalogs or at an address, fetched, checked, converted, kept."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stylekit.downloads.addresses import file_at, is_url, plain_url
from stylekit.downloads.download import Progress, fetch
from stylekit.errors import CatalogError, ConfigError, StyleFileError
from stylekit.styles.catalog import MOST_STYLE_BYTES, PULLABLE_SUFFIXES, SHA256_PATTERN, CatalogEntry, remote_styles
from stylekit.styles.library import not_found, read_style
from stylekit.styles.locations import downloaded_styles_dir, find_style, is_bundled, own_styles_dir
from stylekit.styles.names import STYLE_NAME_PATTERN, SUFFIX, check_style_name, is_path
from stylekit.styles.style_file import StyleFile, load_style_file, read_metadata, save_style_file
from stylekit.system.files import clear_stale, file_hash
from stylekit.system.locks import ending, locked
from stylekit.system.paths import cache_dir


def pull_style(
    style: str,
    *,
    sha256: str | None = None,
    name: str | None = None,
    catalogs: Sequence[str] = (),
    force: bool = False,
    on_progress: Progress = lambda done, total: None,
) -> Path:
    """Fetch a style into the cache, unless it is there already and sound.

    Args:
        style: a name from a catalog, or the address (`https://…`, `hf://user/repo/file`) of a style file or of an ONNX
            graph that can be imported.
        sha256: hash of the file at an address; None where it is not known.
        name: the name that a style from an address is to have; by default its file's.
        catalogs: see `catalog.remote_styles`.
        force: whether a style that was pulled from another address under this name may be replaced.
        on_progress: called after each piece of the download.

    Returns:
        The style file; for a bundled style, or one of the user's own, that file.

    Raises:
        StyleNotFound: if no catalog has the name.
        ConfigError: if the name cannot be one, or is taken, or the hash is none.
        CatalogError: if a catalog cannot be had.
        DownloadError: if the file cannot be had.
        StyleFileError: if it is no style that stylekit knows; nothing is kept.
    """
    found = Finder(catalogs).find(style, sha256=sha256, name=name)
    return found if isinstance(found, Path) else fetch_style(found, force=force, on_progress=on_progress)


class Finder:
    """Finds what is to be pulled; catalogs are read once, at the first name.

    Args:
        catalogs: see `catalog.remote_styles`.
    """

    def __init__(self, catalogs: Sequence[str] = ()) -> None:
        self._catalogs = catalogs
        self._entries: dict[str, CatalogEntry] | None = None
        self._problems: list[CatalogError] = []

    def find(self, style: str, *, sha256: str | None = None, name: str | None = None) -> CatalogEntry | Path:
        """Return the entry to fetch, or the file of a style that needs no fetching; see `pull_style`."""
        if is_url(style):
            named = _entry_at(style, sha256, name)
            if (listed := self.entries().get(named.name)) and plain_url(listed.url) != plain_url(named.url):
                raise ConfigError(f"A catalog has a style {named.name} already.", "Choose another --name.")
            return named
        if sha256 is not None or name is not None:
            raise ConfigError("A hash and a name go with an address; a catalog has its own.", "Leave them out.")
        if is_path(style):
            raise ConfigError(f"{style} is a file, not an address.", "Take it in with `stylekit styles import`.")
        at_hand = find_style(style) if STYLE_NAME_PATTERN.fullmatch(style) else None
        if at_hand is not None and at_hand.parent != downloaded_styles_dir():
            return at_hand
        if entry := self.entries().get(style):
            return entry
        if at_hand is not None:
            load_style_file(at_hand)  # raises if it is damaged
            return at_hand
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
    """The entry that a catalog would have for the file at an address."""
    if sha256 is not None and not SHA256_PATTERN.fullmatch(sha256.lower()):
        raise ConfigError(f"{sha256!r} is no SHA-256.", "It has 64 hexadecimal digits.")
    file = file_at(plain_url(url))
    if file.suffix.lower() not in PULLABLE_SUFFIXES:
        raise ConfigError(
            f"{url} does not end in {' or '.join(PULLABLE_SUFFIXES)}.",
            "Name the style file itself; other weights are fetched by hand, and taken in by `stylekit styles import`.",
        )
    if name is None and not STYLE_NAME_PATTERN.fullmatch(file.stem):
        raise ConfigError(f"{file.stem!r} cannot name a style.", "Choose a name with --name.")
    name = check_style_name(name or file.stem)
    if is_bundled(name) or (own_styles_dir() / f"{name}{SUFFIX}").exists():
        raise ConfigError(f"There is a style {name} already, which would hide this one.", "Choose another --name.")
    return CatalogEntry(name, "remote", MOST_STYLE_BYTES, url=url, sha256=(sha256 or "").lower())


def fetch_style(entry: CatalogEntry, *, force: bool = False, on_progress: Progress = lambda done, total: None) -> Path:
    """Fetch the style of a catalog's entry into the cache, unless it is there already and sound; see `pull_style`."""
    url = plain_url(entry.url)
    target = downloaded_styles_dir() / f"{entry.name}{SUFFIX}"
    if target.is_dir():
        raise StyleFileError(f"A folder lies at {target}.", "Move it away.")
    if _is_fetched(target, entry):
        return target
    with locked(target):
        clear_stale(target.parent)
        if _is_fetched(target, entry):  # by another process, meanwhile
            return target
        if not force and _origin(target) not in (None, url):
            raise ConfigError(
                f"The style {entry.name} in the cache was pulled from {_origin(target)}.",
                "Replace it with --force; a style at an address can also be given another --name.",
            )
        suffix = file_at(url).suffix.lower()
        published = cache_dir() / "downloads" / f"{entry.name}{suffix}"
        with ending(lambda: _remove(published)):
            fetch(url, published, sha256=entry.sha256, most_bytes=entry.size, on_progress=on_progress)
            save_style_file(_converted(published, entry, url), target)
    return target


def _converted(published: Path, entry: CatalogEntry, url: str) -> StyleFile:
    """What was fetched as the style that is kept: under the entry's name, with its credits and its origin."""
    try:
        style = read_style(published)
    except StyleFileError as error:
        raise StyleFileError(error.message.replace(str(published), entry.url), error.hint) from None
    changes: dict[str, Any] = {"name": entry.name, "downloaded": {"url": url, "sha256": file_hash(published)}}
    if published.suffix != SUFFIX:
        changes["source"] = url
    changes |= {key: value for key, value in dataclasses.asdict(entry.credits).items() if value}
    return StyleFile(dataclasses.replace(style.metadata, **changes), style.weights)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _origin(path: Path) -> str | None:
    """The address that a style in the cache was pulled from; None where there is none, or it cannot be told."""
    with contextlib.suppress(StyleFileError):
        return read_metadata(path).downloaded.get("url")
    return None


def _is_fetched(path: Path, entry: CatalogEntry) -> bool:
    try:
        downloaded = load_style_file(path).metadata.downloaded
    except StyleFileError:
        return False
    return bool(entry.sha256) and downloaded.get("sha256") == entry.sha256
