"""Find and select devices to run networks on: the CPU, NVIDIA GPUs (CUDA) and Apple GPUs (MPS).

torch takes seconds to import, so it is imported only on macOS or if NVIDIA's driver library is installed. Elsewhere no
GPU can be used. A GPU counts as available if a test allocation on the GPU succeeds.
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
        A description of each device that works, by its name: `cuda:N`, `mps` or `cpu`.
    """
    return {**{gpu: _describe(gpu) for gpu in _gpus() if _works(gpu)}, "cpu": "CPU"}


def _gpus() -> list[str]:
    """Return the GPUs of this machine, including GPUs that do not work."""
    if not cuda_may_exist() and not mps_may_exist():
        return []
    try:
        import torch
    except ModuleNotFoundError:  # without torch, no GPU can be used
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
    """Return the first matching device on which a test allocation succeeds.

    The remaining devices are not tested, because a test takes up memory on a device.

    Args:
        device: `auto` (CUDA, then MPS, then CPU), `cpu`, `cuda` (the first GPU that works), `cuda:N` or `mps`. If
            several processes share a machine, each of them tests a different GPU first.

    Returns:
        `cpu`, `cuda:N` or `mps`.

    Raises:
        ConfigError: If `device` is not one of these names.
        DeviceUnavailable: If no matching device works. The hint lists the devices that work.
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
    """Check the name of a device, and return it.

    Raises:
        ConfigError: If the name is not `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
    """
    if not DEVICE_PATTERN.fullmatch(device):
        raise ConfigError(f"--device must be auto, cpu, cuda, cuda:N or mps, not {device!r}.")
    return device
