"""What runs a network. Nothing outside an engine knows tensors."""

import os

from stylekit.config.checks import check_engine
from stylekit.engines.protocol import Engine
from stylekit.styles.style_file import StyleFile
from stylekit.system.devices import select_device
from stylekit.system.distributed import read_world


def build_engine(style: StyleFile, *, device: str = "auto", engine: str = "auto", threads: int | None = None) -> Engine:
    """Prepare a style's network.

    Args:
        style: network and weights.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        engine: `torch`, or `onnxruntime`, which runs on the CPU, is faster there, and spares the seconds that importing
            torch takes; `auto` is the fastest that fits the device.
        threads: CPU threads, no more than the CPU has; None leaves the choice to the engine, or takes this process's
            share of the machine's.

    Raises:
        ConfigError: if there is no such engine or device, the engine cannot run on it, or there are no threads.
        DeviceUnavailable: if the device that was asked for is missing or full.
    """
    check_engine(engine, device, threads)
    threads = threads and min(threads, os.cpu_count() or threads)  # each thread more takes memory, and time
    threads = threads or read_world().threads
    device = select_device("cpu" if engine == "onnxruntime" else device)
    if device == "cpu" and engine != "torch":
        from stylekit.engines.onnxruntime_engine import OnnxruntimeEngine

        return OnnxruntimeEngine(style, threads=threads)
    from stylekit.engines.torch_engine import TorchEngine  # torch costs seconds: only where it is needed

    return TorchEngine(style, device=device, threads=threads)
