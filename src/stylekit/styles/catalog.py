"""What styles there are: the user's own, bundled with the package, in the cache, and remote ones listed in catalogs.

A catalog is a JSON file that says where styles can be had, and what their files' hashes are; docs/catalogs.md tells
how to publish one.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from stylekit.downloads.addresses import file_at, is_url, plain_url
from stylekit.errors import CatalogError, DownloadError, StylekitError
from stylekit.styles.locations import bundled_styles_dir, style_files, style_folders
from stylekit.styles.names import SUFFIX, check_style_name
from stylekit.styles.style_file import Credits, read_metadata
from stylekit.system.locks import locked
from stylekit.system.paths import cache_dir

CATALOG_FORMAT = "stylekit-catalog-1"

_BUILT_IN = bundled_styles_dir() / "catalog.json"
_MOST_CATALOG_BYTES = 4_000_000
MOST_STYLE_BYTES = 500_000_000
PULLABLE_SUFFIXES = (SUFFIX, ".onnx")  # no `.pth`: nothing that comes from the network is unpickled
SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")
_CREDITS = tuple(credit.name for credit in fields(Credits))


@dataclass(frozen=True)
class CatalogEntry:
    """A style that there is.

    Attributes:
        name: by which `apply` knows it: its file's name, which wins over what the metadata says.
        where: `own`, `bundled`, `cached` or `remote`.
        size: of its file, in bytes.
        credits: title, artist, year, licence and source.
        path: its file; None for a remote one.
        problem: why the file cannot be read; empty where it can.
        url: where a remote one is fetched from.
        sha256: hash of a remote one's file.
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
    """Return the remote style of this name; see `remote_styles`."""
    return next((entry for entry in remote_styles(catalogs) if entry.name == name), None)


def list_styles(
    catalogs: Sequence[str] = (), *, on_problem: Callable[[CatalogError], None] | None = None
) -> list[CatalogEntry]:
    """Return all styles in the order of their names; one that is hidden by another of its name is left out.

    Args and errors are those of `remote_styles`.
    """
    entries = {entry.name: entry for entry in remote_styles(catalogs, on_problem=on_problem)}
    entries |= {entry.name: entry for entry in styles_at_hand()}
    return sorted(entries.values(), key=lambda entry: entry.name)


def styles_at_hand() -> list[CatalogEntry]:
    """Return the user's own, the bundled and the cached styles; where two have a name, the first of them."""
    entries: dict[str, CatalogEntry] = {}
    for where, folder in style_folders().items():
        for path in style_files(folder):
            entries.setdefault(path.stem, _entry(where, path))
    return list(entries.values())


def _entry(where: str, path: Path) -> CatalogEntry:
    size = path.stat().st_size
    try:
        metadata = read_metadata(path)
    except StylekitError as error:
        return CatalogEntry(path.stem, where, size, path=path, problem=error.message)
    return CatalogEntry(path.stem, where, size, metadata.credits, path)


def remote_styles(
    catalogs: Sequence[str] = (), *, on_problem: Callable[[CatalogError], None] | None = None
) -> list[CatalogEntry]:
    """Return the styles of catalogs; where two name the same, the first one's.

    Args:
        catalogs: addresses or files of catalogs that come before the one in `STYLEKIT_CATALOG` and the package's own.
        on_problem: called with what is wrong with the catalog in `STYLEKIT_CATALOG`, which is then left out; without
            it, that is raised.

    Raises:
        CatalogError: if a catalog cannot be had, or is none.
    """
    entries = [entry for source in catalogs for entry in _read_catalog(source)]
    if further := os.environ.get("STYLEKIT_CATALOG"):
        try:
            entries += _read_catalog(further)
        except CatalogError as error:
            if on_problem is None:
                raise
            on_problem(error)
    entries += _read_catalog(str(_BUILT_IN))
    return list({entry.name: entry for entry in reversed(entries)}.values())[::-1]


def _read_catalog(source: str) -> list[CatalogEntry]:
    """The entries of a catalog; for one at an address, those of its last good copy where no newer can be had."""
    if not is_url(source):
        return _parse(_content(Path(source), source), source)
    from stylekit.downloads.download import fetch  # costs 50 ms, and most commands fetch nothing

    kept = cache_dir() / "catalogs" / f"{hashlib.sha256(source.encode()).hexdigest()[:32]}.json"
    newest = kept.with_suffix(".new")
    try:
        with locked(kept):
            try:
                fetch(source, newest, most_bytes=_MOST_CATALOG_BYTES)
                entries = _parse(_content(newest, source), source)
                newest.replace(kept)
            finally:
                newest.unlink(missing_ok=True)
    except (DownloadError, CatalogError) as error:
        if kept.is_file():
            return _parse(_content(kept, source), source)
        raise CatalogError(error.message, error.hint) from None
    return entries


def _content(path: Path, source: str) -> Any:
    try:
        with path.open("rb") as file:
            return json.loads(file.read(_MOST_CATALOG_BYTES))
    except FileNotFoundError:
        raise CatalogError(f"There is no catalog {source}.", "Name a JSON file or its https:// address.") from None
    except OSError as error:
        raise CatalogError(f"The catalog {source} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise CatalogError(f"The catalog {source} is not JSON.", _HINT) from None


_HINT = f'A catalog is {{"format": "{CATALOG_FORMAT}", "styles": […]}}; each style has name, url, sha256 and size.'


def _parse(content: Any, source: str) -> list[CatalogEntry]:
    if not isinstance(content, dict) or content.get("format") != CATALOG_FORMAT:
        raise CatalogError(f"{source} is no catalog: its format is not {CATALOG_FORMAT!r}.", _HINT)
    styles = content.get("styles")
    if not isinstance(styles, list):
        raise CatalogError(f"The catalog {source} has no list of styles.", _HINT)
    return [_remote_entry(values, number, source) for number, values in enumerate(styles, start=1)]


def _remote_entry(values: Any, number: int, source: str) -> CatalogEntry:
    def require(condition: bool, message: str) -> None:
        if not condition:
            raise CatalogError(f"Style {number} of the catalog {source} {message}.", _HINT)

    require(isinstance(values, dict), "is no JSON object")
    for key in ("name", "url", "sha256", *_CREDITS):
        require(isinstance(values.get(key, ""), str), f"has a {key} that is no text")
    size = values.get("size")
    require(type(size) is int and 0 < size <= MOST_STYLE_BYTES, "has no size in bytes, or one beyond all measure")
    require(values.get("url", "") != "", "has no url")
    require(
        bool(SHA256_PATTERN.fullmatch(values.get("sha256", ""))), "has no SHA-256 of 64 lower-case hexadecimal digits"
    )
    try:
        name = check_style_name(values.get("name", ""))
        url = plain_url(urljoin(plain_url(source), values["url"]) if is_url(source) else values["url"])
    except (StylekitError, ValueError) as error:
        raise CatalogError(f"Style {number} of the catalog {source}: {error}", _HINT) from None
    require(
        file_at(url).suffix.lower() in PULLABLE_SUFFIXES,
        f"has a url that does not end in {' or '.join(PULLABLE_SUFFIXES)}",
    )
    about = Credits(**{key: values[key] for key in _CREDITS if key in values})
    return CatalogEntry(name, "remote", size, about, url=url, sha256=values["sha256"])
