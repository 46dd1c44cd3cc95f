"""The interface of engines, which run a style's network: arrays in, arrays out, no tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stylekit.engines.moments import Moments
from stylekit.networks.shapes import NormStatistics

Images = NDArray[np.float32]

UsedStatistics = NDArray[np.float32]  # (2, C, 1, 1): mean and variance of each channel in a normalization


@dataclass(frozen=True)
class EngineFacts:
    """Facts about an engine that its callers need.

    Attributes:
        name: `onnxruntime` or `torch`.
        device: Where it runs: `cpu`, `cuda:N` or `mps`.
        receptive_radius: The largest distance in pixels at which the photo affects a pixel of the result, apart from
            normalizations; a multiple of `TILE_MULTIPLE`.
        free_norms: The number of normalizations that are not fixed.
        norm_depth: The number of normalizations in a single network, fixed or not.
        bytes_per_pixel: Approximate memory per pixel while the network runs, including that of all replicas.
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
        """Stylize a frame so that its colors stay close to the previous frame. All normalizations must be free.

        Args:
            image: `(1, H, W, 3)`, RGB in [0, 1].
            previous: The statistics that each normalization used for the previous frame; empty for the first.
            share: The weight of the previous statistics, 0 to 1; the statistics of this frame have the rest.

        Returns:
            An array of the same shape, and the statistics used.

        Raises:
            OutOfMemory: As in `run`.
        """
        ...

    def moments(self, tile: Images, rows: slice, columns: slice) -> Moments:
        """Sum up the inputs of the first free normalization over a tile. All normalizations before it must be fixed.

        Args:
            tile: A part of the image, `(H, W, 3)`, RGB in [0, 1]. Its edges within the image are at multiples of 16
                pixels.
            rows: The rows to sum over, between multiples of 16 or up to the end of the tile. Where they reach an edge
                of the tile, the network's padding is included.
            columns: The columns to sum over, with the same restrictions.

        Raises:
            OutOfMemory: As in `run`.
        """
        ...

    def with_norm(self, statistics: NormStatistics) -> "Engine":
        """Return an engine whose first free normalization is fixed to a mean and variance of each channel."""
        ...

    def replicas(self) -> Sequence["Engine"]:
        """Return the engines that together stylize many images fastest, each to be called from a separate thread.

        These are two engines with half of the threads each, which wait less than one engine with all threads. If the
        threads cannot be divided (on a GPU, in torch, or with a single thread), it is this engine alone.
        """
        ...
