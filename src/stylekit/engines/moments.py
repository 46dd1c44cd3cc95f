"""Statistics of features, gathered tile by tile."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stylekit.networks import Architecture
from stylekit.networks.shapes import NormStatistics


@dataclass(frozen=True)
class Moments:
    """Sums over features, per channel; the sums of two tiles can be added.

    Attributes:
        count: The number of values per channel.
        sums: The sum of the values of each channel, `(C,)` float64.
        squares: The sum of the squared values of each channel, `(C,)` float64.
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
        """Return the sums over the features of both."""
        return Moments(self.count + other.count, self.sums + other.sums, self.squares + other.squares)

    @property
    def statistics(self) -> NormStatistics:
        """Mean and variance of each channel."""
        mean = self.sums / self.count
        return mean, np.maximum(self.squares / self.count - mean**2, 0)


def features_within(
    features: NDArray[Any], network: Architecture, size: tuple[int, int], rows: slice, columns: slice
) -> NDArray[Any]:
    """Crop a tile's features to some of its rows and columns; see `Engine.moments`.

    Args:
        features: The features `(C, h, w)` of a tile that `network` has padded.
        network: The network that computed them.
        size: The tile's height and width before padding.
        rows: The tile's rows to crop to.
        columns: The tile's columns to crop to.
    """
    cuts = []
    for cells, side, part in zip(features.shape[1:], size, (rows, columns), strict=True):
        cell, border = network.grid(cells, side)
        start = 0 if part.start == 0 else border + part.start // cell
        stop = cells if part.stop == side else border + part.stop // cell
        cuts.append(slice(start, stop))
    return features[:, cuts[0], cuts[1]]
