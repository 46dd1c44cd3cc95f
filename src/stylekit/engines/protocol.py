"""What an engine is: something that runs a network. Nothing outside an engine knows tensors."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stylekit.engines.moments import Moments
from stylekit.networks.shapes import Statistics

Pictures = NDArray[np.float32]

UsedStatistics = NDArray[np.float32]  # of a normalisation: (2, C, 1, 1), mean and variance of each channel


class Engine(Protocol):
    """A style's network, ready to run on a device.

    Its instance normalisations take their statistics from each picture. To paint a picture in tiles that agree, they
    are fixed, one after another, to statistics of the whole picture, gathered tile by tile.

    Attributes:
        device: where it runs.
        reach: how far away in pixels the pixels lie on which a result's pixel depends, normalisations aside; a multiple
            of 4.
        free_norms: how many normalisations are not fixed.
        norms_in_turn: how many a network has, each of which needs those before it.
        pixel_bytes: about how much memory a pixel takes while the network runs, and its other half too.
        held_bytes: how much memory is kept from earlier runs, and counts as free.
    """

    device: str
    reach: int
    free_norms: int
    norms_in_turn: int
    pixel_bytes: int

    @property
    def held_bytes(self) -> int: ...

    def run(self, pictures: Pictures) -> Pictures:
        """Stylise pictures. All normalisations must be free, or all fixed.

        Args:
            pictures: `(B, H, W, 3)`, RGB in [0, 1].

        Returns:
            An array of the same shape; values may leave [0, 1] a little.

        Raises:
            OutOfMemory: if the device has too little memory for pictures of this size.
        """
        ...

    def run_after(
        self, picture: Pictures, last: tuple[UsedStatistics, ...], share: float
    ) -> tuple[Pictures, tuple[UsedStatistics, ...]]:
        """Stylise a picture of a video so that its colours follow those of the one before. All normalisations are free.

        Args:
            picture: `(1, H, W, 3)`, RGB in [0, 1].
            last: the statistics that each normalisation used in the picture before; empty at the beginning.
            share: of those in the ones that are used now, 0 to 1; the rest is the picture's own.

        Returns:
            An array of the same shape, and the statistics used.

        Raises:
            OutOfMemory: as `run`.
        """
        ...

    def moments(self, tile: Pictures, rows: slice, columns: slice) -> Moments:
        """Gather what the first free normalisation would normalise, as long as those before it are fixed.

        Args:
            tile: `(H, W, 3)`, RGB in [0, 1]; sides at which it ends before the picture does lie at multiples of 4.
            rows: the rows that count, multiples of 4 but for the tile's end. Where they begin or end as the tile does,
                what the network adds around a picture counts too.
            columns: likewise.

        Raises:
            OutOfMemory: as `run`.
        """
        ...

    def with_norm(self, statistics: Statistics) -> "Engine":
        """Return an engine whose first free normalisation is fixed to mean and variance of each channel."""
        ...

    def replicas(self) -> Sequence["Engine"]:
        """Return the engines that together paint many pictures soonest, each in a thread of the caller's.

        Two with half of the threads each wait less than one with all. There is one, this, where threads cannot be
        shared out: on a GPU, in torch, or where there is but one thread.
        """
        ...
