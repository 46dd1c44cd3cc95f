"""Measure the free memory of a device, and raise a clear error when memory runs out."""

import contextlib
import os
from collections.abc import Iterator

from stylekit.errors import OutOfMemory
from stylekit.system.cgroups import control_groups

_ASSUMED_MEMORY = 1 << 30  # bytes, if the platform does not report the available memory

# Parts of error messages: torch on GPUs, torch on CPUs (Linux and macOS, then Windows), NVIDIA's libraries.
_MEMORY_PHRASES = (
    *("out of memory", "can't allocate memory", "not enough memory"),
    *("cublas_status_alloc_failed", "cudnn_status_alloc_failed"),
)

# For each version of control groups: the files with the limit and the usage in bytes, and the entry of `memory.stat`
# that counts cached files, which can be evicted.
_CONTROL_GROUP_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


def free_memory(device: str) -> int:
    """Return the free memory of a device in bytes.

    Args:
        device: `cpu`, `cuda:N` or `mps`.
    """
    if device == "cpu":
        return min([_available_memory(), *_control_group_memory()])
    import torch

    if device == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # which torch can use again
    return int(torch.cuda.mem_get_info(device)[0] + cached)


def _available_memory() -> int:
    """Return the machine's available memory in bytes, or a cautious guess if the platform does not report it."""
    import psutil

    with contextlib.suppress(Exception):  # psutil raises various errors if /proc is missing or restricted
        return int(psutil.virtual_memory().available)
    with contextlib.suppress(AttributeError, OSError, ValueError):  # Windows has no sysconf
        pages = os.sysconf("SC_AVPHYS_PAGES")
        if pages > 0:  # sysconf returns -1 for an unknown value
            return pages * os.sysconf("SC_PAGE_SIZE")
    return _ASSUMED_MEMORY


def _control_group_memory() -> Iterator[int]:
    """Yield the bytes that this process may still use in each control group that has a limit."""
    for version, folder in control_groups("memory"):
        limit, usage, evictable = _CONTROL_GROUP_FILES[version]
        with contextlib.suppress(OSError, ValueError, KeyError):  # the group has no limit
            statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            used = int((folder / usage).read_text()) - int(statistics[evictable])
            yield max(0, int((folder / limit).read_text()) - used)


@contextlib.contextmanager
def memory_errors(device: str, hint: str) -> Iterator[None]:
    """Turn out-of-memory errors in the block into `OutOfMemory`.

    Args:
        device: The device on which the block computes.
        hint: The error's hint, which says how to use less memory.

    Raises:
        OutOfMemory: If the device runs out of memory.
    """
    try:
        yield
    except MemoryError as error:
        raise OutOfMemory(f"Out of memory on {device}.", hint) from error
    except RuntimeError as error:
        text = str(error).lower()
        if type(error).__name__ == "OutOfMemoryError" or any(phrase in text for phrase in _MEMORY_PHRASES):
            raise OutOfMemory(f"Out of memory on {device}.", hint) from error
        raise
