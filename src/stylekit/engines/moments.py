"""Statistics of features that are gathered tile by tile."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stylekit.networks import Architecture
from stylekit.networks.shapes import LEAST_SIDE, SIDE_MULTIPLE, Statistics


@dataclass(frozen=True)
class Moments:
    """Sums over features, per channel; those of two tiles add up.

    Attributes:
        count: number of values a channel.
        sums: of values, float64.
        squares: of their squares, float64.
    """

    count: int
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def of(cls, features: NDArray[np.float32]) -> Self:
        """Sum up features `(C, H, W)`."""
        flat = features.reshape(len(features), -1)
        return cls(
            flat.shape[1], flat.sum(axis=1, dtype=np.float64), np.einsum("ci,ci->c", flat, flat, dtype=np.float64)
        )

    def __add__(self, other: Self) -> "Moments":
        return Moments(self.count + other.count, self.sums + other.sums, self.squares + other.squares)

    @property
    def statistics(self) -> Statistics:
        """Mean and variance of each channel."""
        mean = self.sums / self.count
        return mean, np.maximum(self.squares / self.count - mean**2, 0)


def features_within(
    features: NDArray[Any], network: Architecture, size: tuple[int, int], rows: slice, columns: slice
) -> NDArray[Any]:
    """Cut a tile's features down to those that belong to some of its rows and columns; see `Engine.moments`.

    Args:
        features: `(C, h, w)` of a tile that `network` has padded.
        network: what made them.
        size: the tile's height and width before padding.
        rows: the rows that count.
        columns: likewise.
    """
    cuts = []
    for cells, side, part in zip(features.shape[1:], size, (rows, columns), strict=True):
        padded = max(-(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE, LEAST_SIDE)
        cell = network.cell_side(cells, side)
        border = (cells - padded // cell) // 2  # 0 for `johnson`; for `fast`, cells that no convolution has eaten yet
        start = 0 if part.start == 0 else border + part.start // cell
        stop = cells if part.stop == side else border + part.stop // cell
        cuts.append(slice(start, stop))
    return features[:, cuts[0], cuts[1]]
