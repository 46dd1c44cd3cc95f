"""List the available styles: the user's own, bundled and cached styles, and remote styles from catalogs.

A catalog is a JSON file with the URLs and hashes of style files; docs/catalogs.md describes how to publish one.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from stylekit.downloads.addresses import file_at, is_loopback, is_url, plain_url
from stylekit.downloads.download import fetch
from stylekit.errors import CatalogError, DownloadError, StylekitError
from stylekit.styles.locations import bundled_styles_dir, style_files, style_folders
from stylekit.styles.names import SUFFIX, check_style_name
from stylekit.styles.style_file import Credits, read_metadata
from stylekit.system.files import writing
from stylekit.system.locks import locked
from stylekit.system.paths import OTHER_HOME, cache_dir

if TYPE_CHECKING:
    from stylekit.styles.catalog_format import ListedStyle

_BUILT_IN = bundled_styles_dir() / "catalog.json"
_MAX_CATALOG_BYTES = 4_000_000
PULLABLE_SUFFIXES = (SUFFIX, ".onnx")  # not `.pth`: nothing from the network is unpickled


@dataclass(frozen=True)
class CatalogEntry:
    """An available style, local or remote.

    Attributes:
        name: The name to pass to `--style`; for a local style, the name of its file, even if its metadata differs.
        where: `own`, `bundled`, `cached` or `remote`.
        size: The size of the style's file, in bytes.
        credits: Title, artist, year, license and source.
        path: The style's file; None for a remote style.
        problem: Why the file cannot be read; empty if it can.
        url: The URL of a remote style's file.
        sha256: The hash of a remote style's file.
    """

    name: str
    where: str
    size: int
    credits: Credits = field(default_factory=Credits)
    path: Path | None = None
    problem: str = ""
    url: str = ""
    sha256: str = ""


def find_remote(name: str, catalogs: Sequence[str] = ()) -> CatalogEntry | None:
    """Return the remote style with this name, or None; see `remote_styles`."""
    return next((entry for entry in remote_styles(catalogs) if entry.name == name), None)


def list_styles(
    catalogs: Sequence[str] = (), *, on_problem: Callable[[CatalogError], None] | None = None
) -> list[CatalogEntry]:
    """Return all available styles, sorted by name.

    If several styles have the same name, only the style that `apply` would use is returned.

    Args:
        catalogs: See `remote_styles`.
        on_problem: See `remote_styles`.

    Raises:
        CatalogError: If a catalog cannot be read.
        StyleFileError: If a folder of styles cannot be read.
    """
    entries = {entry.name: entry for entry in remote_styles(catalogs, on_problem=on_problem)}
    entries |= {entry.name: entry for entry in local_styles()}
    return sorted(entries.values(), key=lambda entry: entry.name)


def local_styles() -> list[CatalogEntry]:
    """Return the user's own, the bundled and the cached styles; if several have the same name, only the first.

    Raises:
        StyleFileError: If a folder of styles cannot be read.
    """
    entries: dict[str, CatalogEntry] = {}
    for where, folder in style_folders().items():
        for path in style_files(folder):
            entries.setdefault(path.stem, _local_entry(where, path))
    return list(entries.values())


def _local_entry(where: str, path: Path) -> CatalogEntry:
    size = path.stat().st_size
    try:
        metadata = read_metadata(path)
    except StylekitError as error:
        return CatalogEntry(path.stem, where, size, path=path, problem=error.message)
    return CatalogEntry(path.stem, where, size, metadata.credits, path)


def remote_styles(
    catalogs: Sequence[str] = (), *, on_problem: Callable[[CatalogError], None] | None = None
) -> list[CatalogEntry]:
    """Return the styles listed in catalogs; if several have the same name, only the first.

    Args:
        catalogs: URLs or paths of catalogs, which take precedence over the catalog set in `STYLEKIT_CATALOG` and over
            the built-in catalog.
        on_problem: Called with the error if the catalog set in `STYLEKIT_CATALOG` cannot be read, which is then
            skipped; if None, the error is raised.

    Raises:
        CatalogError: If a catalog cannot be read.
    """
    entries = [entry for source in catalogs for entry in _read_catalog(source)]
    if variable := os.environ.get("STYLEKIT_CATALOG"):
        try:
            entries += _read_catalog(variable)
        except CatalogError as error:
            if on_problem is None:
                raise
            on_problem(error)
    entries += _read_catalog(str(_BUILT_IN))
    return list({entry.name: entry for entry in reversed(entries)}.values())[::-1]


def _read_catalog(source: str) -> list[CatalogEntry]:
    """Return a catalog's entries; if its URL cannot be downloaded, the entries of the last valid copy."""
    if not is_url(source):
        return _entries_in(Path(source), source)
    copy = cache_dir() / "catalogs" / f"{hashlib.sha256(source.encode()).hexdigest()[:32]}.json"
    newest = copy.with_suffix(".new")
    try:
        with locked(copy, DownloadError, OTHER_HOME):
            try:
                fetch(source, newest, most_bytes=_MAX_CATALOG_BYTES)
                entries = _entries_in(newest, source)
                with writing(copy, DownloadError, OTHER_HOME):
                    newest.replace(copy)
            finally:
                newest.unlink(missing_ok=True)
    except (DownloadError, CatalogError) as error:
        with contextlib.suppress(CatalogError):
            return _entries_in(copy, source)
        raise CatalogError(error.message, error.hint) from error
    return entries


def _entries_in(path: Path, source: str) -> list[CatalogEntry]:
    from stylekit.styles.catalog_format import parse_catalog  # imports msgspec, which `--help` does not need

    try:
        with path.open("rb") as file:
            content = file.read(_MAX_CATALOG_BYTES)
    except FileNotFoundError as error:
        raise CatalogError(
            f"The catalog {source} does not exist.", "Pass the path or https:// URL of a JSON file."
        ) from error
    except OSError as error:
        raise CatalogError(
            f"Cannot read the catalog {source}: {error.strerror}.", "Check its permissions, and that it is a file."
        ) from error
    return [_remote_entry(style, number, source) for number, style in enumerate(parse_catalog(content, source), 1)]


def _remote_entry(style: "ListedStyle", number: int, source: str) -> CatalogEntry:
    base = plain_url(source) if is_url(source) else ""
    try:
        name = check_style_name(style.name)
        url = plain_url(urljoin(base, style.url), allow_loopback=not base or is_loopback(base))
        if file_at(url).suffix.lower() not in PULLABLE_SUFFIXES:
            raise CatalogError(f"The url does not end in {' or '.join(PULLABLE_SUFFIXES)}.")
    except (StylekitError, ValueError) as error:
        raise CatalogError(f"Style {number} in the catalog {source}: {error}") from error
    credits = Credits(**{credit.name: getattr(style, credit.name) for credit in fields(Credits)})
    return CatalogEntry(name, "remote", style.size, credits, url=url, sha256=style.sha256)
