"""The interface of engines, which run a style's network: arrays in, arrays out, no tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stylekit.engines.moments import Moments
from stylekit.networks.shapes import NormStatistics

Images = NDArray[np.float32]

UsedStatistics = NDArray[np.float32]  # of a normalization: (2, C, 1, 1), mean and variance of each channel


@dataclass(frozen=True)
class EngineFacts:
    """The facts about an engine that the code around it plans by.

    Attributes:
        name: `onnxruntime` or `torch`.
        device: Where it runs: `cpu`, `cuda:N` or `mps`.
        receptive_radius: How far away, in pixels, the photo can change a pixel of the result, normalizations aside; a
            multiple of `TILE_MULTIPLE`.
        free_norms: The number of normalizations that are not fixed.
        norm_depth: The number of normalizations that follow one another in a network.
        bytes_per_pixel: About how much memory each pixel takes while the network runs, that of all replicas included.
    """

    name: str
    device: str
    receptive_radius: int
    free_norms: int
    norm_depth: int
    bytes_per_pixel: int


class Engine(Protocol):
    """A style's network, ready to run on a device.

    Its instance normalizations take their statistics from each image. To stylize an image in tiles that match, they are
    fixed, one after another, to statistics of the whole image, gathered tile by tile.
    """

    @property
    def facts(self) -> EngineFacts:
        """The engine's device, memory and so on."""
        ...

    @property
    def held_bytes(self) -> int:
        """Memory kept from earlier runs, which the next run can use."""
        ...

    def run(self, images: Images) -> Images:
        """Stylize images. All normalizations must be free, or all fixed.

        Args:
            images: `(B, H, W, 3)`, RGB in [0, 1].

        Returns:
            An array of the same shape; values may leave [0, 1] slightly.

        Raises:
            OutOfMemory: If the device has too little memory for images of this size.
        """
        ...

    def run_after(
        self, image: Images, previous: tuple[UsedStatistics, ...], share: float
    ) -> tuple[Images, tuple[UsedStatistics, ...]]:
        """Stylize a frame so that its colors follow those of the previous one. All normalizations must be free.

        Args:
            image: `(1, H, W, 3)`, RGB in [0, 1].
            previous: The statistics that each normalization used for the previous frame; empty for the first.
            share: The share of those in the statistics that are used now, 0 to 1; the rest is the frame's own.

        Returns:
            An array of the same shape, and the statistics used.

        Raises:
            OutOfMemory: As `run`.
        """
        ...

    def moments(self, tile: Images, rows: slice, columns: slice) -> Moments:
        """Sum up the inputs of the first free normalization over a tile; those before it must be fixed.

        Args:
            tile: `(H, W, 3)`, RGB in [0, 1], a part of the image whose edges inside it are at multiples of 16 pixels.
            rows: The rows that count, from and to multiples of 16 except at the tile's end. Where they reach an edge of
                the tile, the network's padding there counts too.
            columns: The columns that count, likewise.

        Raises:
            OutOfMemory: As `run`.
        """
        ...

    def with_norm(self, statistics: NormStatistics) -> "Engine":
        """Return an engine whose first free normalization is fixed to a mean and variance of each channel."""
        ...

    def replicas(self) -> Sequence["Engine"]:
        """Return the engines that together stylize many images fastest, each called from its own thread.

        Two with half of the threads each wait less than one with all. Where threads cannot be divided (on a GPU, in
        torch, with a single thread), this engine is the only one.
        """
        ...
