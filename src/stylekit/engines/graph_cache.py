"""Cache the networks that onnxruntime has optimized, so that a style starts without building its graph again.

Building and optimizing a style's graph, and importing `onnx` to do so, takes as long as stylizing a small photo. An
entry is a network in onnxruntime's own format, followed by the SHA-256 of that. Its name is a hash of everything that
the optimized network depends on, so that no entry is ever used for anything else. It contains the style's weights.
"""

import contextlib
import hashlib
import logging
import os
import platform
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

import onnxruntime

from stylekit import networks
from stylekit._version import __version__
from stylekit.networks import architecture
from stylekit.styles.style_file import StyleFile
from stylekit.system.files import atomic_write, clear_stale, host_digest
from stylekit.system.paths import cache_dir

_LOGGER = logging.getLogger(__name__)

_Built = TypeVar("_Built")

_LARGEST = 200_000_000  # bytes in all entries together; those of the bundled styles take 1 to 7 MB each
_DIGEST = hashlib.sha256().digest_size
_SUFFIX = ".ort"
_LINES = ("vendor_id", "model name", "flags", "CPU implementer", "CPU part", "Features")  # of /proc/cpuinfo


def cached_graph_path(style: StyleFile, *, smooths: bool) -> Path:
    """Return the path of a style's entry on this machine, whether it exists or not.

    Args:
        style: The network and its weights.
        smooths: See `Architecture.onnx_model`.
    """
    about = style.metadata
    settings = sorted(architecture(about.network).complete(about.network_config).items())
    network = (about.network, settings, smooths, style.weights_sha256)
    digest = hashlib.sha256(repr((network, __version__, _sources(), _runtime())).encode()).hexdigest()
    return cache_dir() / "graphs" / f"{digest[:40]}{_SUFFIX}"


@cache
def _sources() -> str:
    """Return a hash of the code that builds graphs, because developers change the code between releases."""
    digest = hashlib.sha256()
    for file in sorted(Path(networks.__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@cache
def _runtime() -> tuple[str, ...]:
    """Return what onnxruntime's optimizations depend on: its build and the instructions that the CPU has."""
    processor: tuple[str, ...] = (host_digest(),)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            # All cores are alike, and on large servers reading the facts about each core is slow.
            with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
                lines = file.read(16_384).partition("\n\n")[0].splitlines()
            processor = tuple(line for line in lines if line.startswith(_LINES))
    return (onnxruntime.__version__, onnxruntime.get_build_info(), platform.machine(), *processor)


def read_graph(path: Path) -> bytes | None:
    """Return an entry, or None if it is missing, unreadable or corrupt."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    graph, digest = content[:-_DIGEST], content[-_DIGEST:]
    if hashlib.sha256(graph).digest() != digest:
        _LOGGER.debug("%s is corrupt", path)
        return None
    with contextlib.suppress(OSError):  # a folder that cannot be written to still serves
        os.utime(path)  # the least recently used entries are deleted first
    return graph


def store_graph(path: Path, build: Callable[[Path], _Built]) -> _Built | None:
    """Build a network and store it, and delete old entries if the cache takes too much space.

    Args:
        path: The entry to write or to replace.
        build: Builds the network, and writes it to the path that it is given.

    Returns:
        What `build` returned, even if it could not be stored. None if building failed, which a folder that cannot be
        written to or a full disk may have caused.
    """
    built: _Built | None = None
    try:
        with atomic_write(path) as temporary:
            built = build(temporary)
            graph = temporary.read_bytes()
            with temporary.open("ab") as file:
                file.write(hashlib.sha256(graph).digest())
        _make_room(path.parent)
    except Exception as error:  # those of onnxruntime have no other base; if the cause is another, building fails again
        _LOGGER.debug("%s was not written: %s", path, error)
    return built


def _make_room(folder: Path) -> None:
    """Delete the least recently used entries, and the files that killed runs left behind."""
    clear_stale(folder)
    entries = []
    for path in folder.glob(f"[!.]*{_SUFFIX}"):
        with contextlib.suppress(OSError):  # another process has just deleted the file
            entries.append((path.stat(), path))
    size = 0
    for about, path in sorted(entries, key=lambda entry: entry[0].st_mtime_ns, reverse=True):
        size += about.st_size
        if size > _LARGEST:
            with contextlib.suppress(OSError):
                path.unlink()
