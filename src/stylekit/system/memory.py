"""How much memory there is, and what happens when it is not enough."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from stylekit.errors import OutOfMemory

# What allocators say: torch's for GPUs, its CPU allocators for Linux and macOS, and for Windows; NVIDIA's libraries.
_MEMORY_PHRASES = (
    *("out of memory", "can't allocate memory", "not enough memory"),
    *("cublas_status_alloc_failed", "cudnn_status_alloc_failed"),
)

# Of Linux's control groups, version 2 and 1: limit and use of memory, and the files' contents that it would give back.
_CONTROL_GROUP_FILES = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}

_CONTROL_GROUPS = Path("/sys/fs/cgroup")

_OWN_CONTROL_GROUPS = Path("/proc/self/cgroup")


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
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by torch, for its next tensors
    return int(torch.cuda.mem_get_info(device)[0] + kept)


def _control_group_memory() -> Iterator[int]:
    """How many bytes each of the control groups that this process is in, such as a container, leaves it."""
    try:
        groups = _OWN_CONTROL_GROUPS.read_text().splitlines()
    except OSError:  # not Linux
        return
    for controller, path in (group.split(":", 2)[1:] for group in groups):
        if controller not in _CONTROL_GROUP_FILES:
            continue
        limit, usage, reclaimable = _CONTROL_GROUP_FILES[controller]
        top = _CONTROL_GROUPS / controller
        own = top / path.lstrip("/")
        for folder in (own, *own.parents):  # in a container the path may be the host's, and only the top be there
            with contextlib.suppress(OSError, ValueError, KeyError):  # there is no limit
                cached = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())[reclaimable]
                used = int((folder / usage).read_text()) - int(cached)
                yield max(0, int((folder / limit).read_text()) - used)
            if folder == top:
                break


@contextlib.contextmanager
def memory_errors(device: str, advice: str) -> Iterator[None]:
    """Turn a device's out-of-memory errors inside the block into `OutOfMemory`.

    Args:
        device: the device that the block works on.
        advice: the error's hint: what would need less memory.
    """
    try:
        yield
    except MemoryError:
        raise OutOfMemory(f"Out of memory on {device}.", advice) from None
    except RuntimeError as error:
        text = str(error).lower()
        if type(error).__name__ == "OutOfMemoryError" or any(phrase in text for phrase in _MEMORY_PHRASES):
            raise OutOfMemory(f"Out of memory on {device}.", advice) from None
        raise
