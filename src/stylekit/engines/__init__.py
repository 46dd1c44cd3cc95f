"""What runs a network. Nothing outside an engine knows tensors."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

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

    Args:
        style: network and weights.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        threads: CPU threads; None leaves the choice to the engine.

    Raises:
        DeviceUnavailable: if the device that was asked for is missing or full.
    """
    from stylekit.engines.torch_engine import TorchEngine  # torch costs seconds: only once there is work

    return TorchEngine(style, device=device, threads=threads)
