"""Which device, which precision, which seed.

That there is neither CUDA nor MPS is told without torch, which takes seconds to import: by the driver's library and by
the platform. Only where one may exist is torch asked, by allocating on it.
"""

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

from stylekit.config import check_device
from stylekit.distributed import read_world, usable_threads
from stylekit.errors import DeviceUnavailable, OutOfMemory

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


def cuda_may_exist() -> bool:
    """Tell whether NVIDIA's driver library can be loaded."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def mps_may_exist() -> bool:
    """Tell whether this is a Mac."""
    return sys.platform == "darwin"


def available_devices() -> dict[str, str]:
    """Name the devices that a network can run on, each with its description.

    Returns:
        `cuda:N`, `mps` and `cpu`, as far as they are there and answer; the fastest first.
    """
    return {**{gpu: _describe(gpu) for gpu in _gpus() if _answers(gpu)}, "cpu": "CPU"}


def _gpus() -> list[str]:
    """Name the GPUs that are there, whether or not they answer."""
    if not cuda_may_exist() and not mps_may_exist():
        return []
    try:
        import torch
    except ModuleNotFoundError:  # then there is nothing to run on a GPU with
        return []
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] + ["mps"] * mps_may_exist()


def _describe(gpu: str) -> str:
    import torch

    return "Apple GPU" if gpu == "mps" else torch.cuda.get_device_name(gpu)


def _answers(device: str) -> bool:
    import torch

    try:
        return bool((torch.ones(8, device=device) + 1).sum().item() == 16)
    except (RuntimeError, AssertionError):  # torch's own out-of-memory error among them
        return False


def select_device(device: str = "auto") -> str:
    """Choose the device to run on, probing it, and no other than those before it, by an allocation.

    Args:
        device: `auto` (CUDA, then MPS, then CPU), `cpu`, `cuda` (the first that answers), `cuda:N` or `mps`. Where
            several processes share a machine, each begins with another GPU.

    Returns:
        `cpu`, `cuda:N` or `mps`.

    Raises:
        ConfigError: if the name is none of these.
        DeviceUnavailable: if the device that was asked for is missing or cannot be used; names what is there.
    """
    if check_device(device) == "cpu":
        return device
    gpus = [gpu for gpu in _gpus() if device in ("auto", gpu, gpu.partition(":")[0])]
    first = read_world().local_rank % max(1, len(gpus))
    for gpu in gpus[first:] + gpus[:first]:
        if _answers(gpu):
            return gpu
    if device == "auto":
        return "cpu"
    raise DeviceUnavailable(
        f"The device {device} is missing or full.",
        f"There is: {', '.join(available_devices())}. Or leave out --device.",
    )


def usable_cores() -> int:
    """Return on how many of the CPU's cores this process may run; two threads of one core count once."""
    import psutil

    return min(usable_threads(), psutil.cpu_count(logical=False) or usable_threads())


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
