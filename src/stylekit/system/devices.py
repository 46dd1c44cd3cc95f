"""The devices that networks run on: CPU, NVIDIA GPUs (CUDA), Apple GPUs (MPS).

Without a driver library for CUDA, and on other platforms than macOS, there is no GPU, and torch, which takes seconds to
import, is not asked. Elsewhere torch tries an allocation on the device.
"""

import ctypes
import re
import sys

from stylekit.errors import ConfigError, DeviceUnavailable
from stylekit.system.distributed import read_world
from stylekit.system.extras import install_hint, is_installed

DEVICE_PATTERN = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def cuda_may_exist() -> bool:
    """Return whether NVIDIA's driver library can be loaded."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def mps_may_exist() -> bool:
    """Return whether this is a Mac."""
    return sys.platform == "darwin"


def available_devices() -> dict[str, str]:
    """Return the devices that a network can run on, fastest first.

    Returns:
        A description for each of `cuda:N`, `mps` and `cpu` that is present and works.
    """
    return {**{gpu: _describe(gpu) for gpu in _gpus() if _works(gpu)}, "cpu": "CPU"}


def _gpus() -> list[str]:
    """Return the GPUs of this machine, whether they work or not."""
    if not cuda_may_exist() and not mps_may_exist():
        return []
    try:
        import torch
    except ModuleNotFoundError:  # nothing else runs on a GPU
        return []
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] + ["mps"] * mps_may_exist()


def _describe(gpu: str) -> str:
    import torch

    return "Apple GPU" if gpu == "mps" else torch.cuda.get_device_name(gpu)


def _works(device: str) -> bool:
    """Return whether a small computation on a device succeeds."""
    import torch

    try:
        return bool((torch.ones(8, device=device) + 1).sum().item() == 16)
    except (RuntimeError, AssertionError):  # torch's out-of-memory error is a RuntimeError
        return False


def select_device(device: str = "auto") -> str:
    """Return the first device that matches and survives a test allocation.

    Later devices are not touched: an allocation would take memory there.

    Args:
        device: `auto` (CUDA, then MPS, then CPU), `cpu`, `cuda` (the first GPU that works), `cuda:N` or `mps`. Where
            several processes share a machine, each starts its search at another GPU.

    Returns:
        `cpu`, `cuda:N` or `mps`.

    Raises:
        ConfigError: If the name is none of these.
        DeviceUnavailable: If no such device is present and works; the hint lists the devices that do.
    """
    if check_device(device) == "cpu":
        return device
    gpus = [gpu for gpu in _gpus() if device in ("auto", gpu, gpu.partition(":")[0])]
    first = read_world().local_rank % max(1, len(gpus))
    for gpu in gpus[first:] + gpus[:first]:
        if _works(gpu):
            return gpu
    if device == "auto":
        return "cpu"
    if not is_installed("torch") and (cuda_may_exist() or mps_may_exist()):
        raise DeviceUnavailable(f"Device {device} needs torch, which is not installed.", install_hint("torch"))
    raise DeviceUnavailable(
        f"Device {device} is unavailable or out of memory.",
        f"Available: {', '.join(available_devices())}. Or leave out --device.",
    )


def check_device(device: str) -> str:
    """Return `device` if it is a device's name.

    Raises:
        ConfigError: If it is none of `auto`, `cpu`, `cuda`, `cuda:N`, `mps`.
    """
    if not DEVICE_PATTERN.fullmatch(device):
        raise ConfigError(f"--device must be auto, cpu, cuda, cuda:N or mps, not {device!r}.")
    return device
