"""Engines, which run a style's network on a device. Their interface uses arrays instead of tensors."""

from stylekit.config.checks import check_engine
from stylekit.engines.protocol import Engine
from stylekit.styles.style_file import StyleFile
from stylekit.system.devices import select_device
from stylekit.system.distributed import read_world
from stylekit.system.processors import usable_threads


def build_engine(style: StyleFile, *, device: str = "auto", engine: str = "auto", threads: int | None = None) -> Engine:
    """Prepare a style's network to run on a device.

    Args:
        style: The network and its weights.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        engine: `torch`, or `onnxruntime`, which runs on the CPU only, is faster there, and saves the seconds that
            importing torch takes; `auto` picks the faster one for the device.
        threads: CPU threads, at most as many as the CPU has. None leaves the choice to the engine; if several processes
            share the machine, it uses this process's share of the threads.

    Raises:
        ConfigError: If the engine or device is unknown, the engine cannot run on it, or `threads` is below 1.
        DeviceUnavailable: If the device is unavailable or out of memory.
    """
    check_engine(engine, device, threads)
    threads = threads and min(threads, usable_threads())  # more threads only take more memory and time
    threads = threads or read_world().threads
    device = select_device("cpu" if engine == "onnxruntime" else device)
    if device == "cpu" and engine != "torch":
        from stylekit.engines.onnxruntime_engine import OnnxruntimeEngine

        return OnnxruntimeEngine(style, threads=threads)
    from stylekit.engines.torch_engine import TorchEngine  # importing torch takes seconds

    return TorchEngine(style, device=device, threads=threads)
