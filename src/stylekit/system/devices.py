"""Which device, which precision, which seed.

That there is neither CUDA nor MPS is told without torch, which takes seconds to import: by the driver's library and by
the platform. Only where one may exist is torch asked, by allocating on it.
"""

import ctypes
import re
import sys

from stylekit.errors import ConfigError, DeviceUnavailable
from stylekit.system.distributed import read_world

DEVICE_PATTERN = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


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


def check_device(device: str) -> str:
    """Return `device` if it is a device's name.

    Raises:
        ConfigError: if it is none of `auto`, `cpu`, `cuda`, `cuda:N`, `mps`.
    """
    if not DEVICE_PATTERN.fullmatch(device):
        raise ConfigError(f"Unknown device {device!r}.", "Use auto, cpu, cuda, cuda:N or mps.")
    return device
