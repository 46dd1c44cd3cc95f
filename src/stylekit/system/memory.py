"""How much memory a device has free, and one clear error when it runs out."""

import contextlib
from collections.abc import Iterator

from stylekit.errors import OutOfMemory
from stylekit.system.cgroups import control_groups

# What allocators say: torch's on GPUs, its CPU allocators on Linux and macOS, and on Windows; NVIDIA's libraries.
_MEMORY_PHRASES = (
    *("out of memory", "can't allocate memory", "not enough memory"),
    *("cublas_status_alloc_failed", "cudnn_status_alloc_failed"),
)

# By version of control groups: the files with limit and usage, and the statistic of cached files, which can be evicted.
_CONTROL_GROUP_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


def free_memory(device: str) -> int:
    """Return how many bytes of memory a device has free.

    Args:
        device: `cpu`, `cuda:N` or `mps`.
    """
    if device == "cpu":
        import psutil

        return int(min([psutil.virtual_memory().available, *_control_group_memory()]))
    import torch

    if device == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by torch, for its next tensors
    return int(torch.cuda.mem_get_info(device)[0] + cached)


def _control_group_memory() -> Iterator[int]:
    """Yield how many bytes each control group that has a limit leaves this process."""
    for version, folder in control_groups("memory"):
        limit, usage, evictable = _CONTROL_GROUP_FILES[version]
        with contextlib.suppress(OSError, ValueError, KeyError):  # this group sets no limit
            statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            used = int((folder / usage).read_text()) - int(statistics[evictable])
            yield max(0, int((folder / limit).read_text()) - used)


@contextlib.contextmanager
def memory_errors(device: str, hint: str) -> Iterator[None]:
    """Turn a device's out-of-memory errors inside the block into `OutOfMemory`.

    Args:
        device: The device that the block works on.
        hint: The error's hint: what needs less memory.

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
