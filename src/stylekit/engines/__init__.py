"""What runs a network. Nothing outside an engine knows tensors."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stylekit.device import select_device
from stylekit.style_file import StyleFile

Pictures = NDArray[np.float32]


class Engine(Protocol):
    """A style's network, ready to run on a device."""

    device: str

    def run(self, pictures: Pictures) -> Pictures:
        """Stylise pictures.

        Args:
            pictures: `(B, H, W, 3)`, RGB in [0, 1].

        Returns:
            An array of the same shape; values may leave [0, 1] a little.

        Raises:
            OutOfMemory: if the device has too little memory for pictures of this size.
        """
        ...


def build_engine(style: StyleFile, *, device: str = "auto", threads: int | None = None) -> Engine:
    """Prepare a style's network.

    On a CPU, `fast` runs in onnxruntime: it is faster there, and torch need not be imported. `johnson` stays with
    torch, whose rounding is that of the published pictures: onnxruntime's differs by up to 0.02 of 255.

    Args:
        style: network and weights.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        threads: CPU threads; None leaves the choice to the engine.

    Raises:
        DeviceUnavailable: if the device that was asked for is missing or full.
    """
    device = select_device(device)
    if device == "cpu" and style.metadata.network == "fast":
        from stylekit.engines.onnxruntime_engine import OnnxruntimeEngine

        return OnnxruntimeEngine(style, threads=threads)
    from stylekit.engines.torch_engine import TorchEngine  # torch costs seconds: only where it is needed

    return TorchEngine(style, device=device, threads=threads)
