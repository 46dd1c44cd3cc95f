"""A style loss over many photos together, because a painter's style shows in many paintings."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from stylekit.losses.style import GramLoss, StyleStatistics, relative_error

_MEMORY = 0.5  # share of the running mean that is kept in each step
_OWN_SHARE = 0.3  # weight of each photo's individual error; with 1, flat photos are covered with spots


def _alone(tensors: Sequence[Tensor]) -> None:
    pass


class PooledLoss(GramLoss):
    """The error of the Gram matrix of many photos together, plus a share of each photo's individual error.

    Johnson et al. 2016 match the painting's Gram matrix in every photo. A night sky must then become as bright and as
    busy as the painting. A network learns this first, in the cheapest way: it covers flat areas with white spots. Here,
    the running mean of the Gram matrices of recent photos is compared with the painting's. Dark photos may then stay
    dark and red roofs red, if all photos together have the painting's marks and colors.

    The running mean has gradients only for the current photos; earlier photos count as constant.

    Args:
        average: Replaces tensors with their means over all processes that train together; see `World.average`.

    Attributes:
        means: The running mean for each target, in the order of the calls to `target`; updated in place, and NaN before
            the first photos.
    """

    def __init__(self, average: Callable[[Sequence[Tensor]], None] = _alone) -> None:
        self.means: list[Tensor] = []
        self._average = average

    def target(self, statistics: StyleStatistics) -> StyleStatistics:
        """Return the painting's Gram matrix, and the running mean for the photos; see `StyleLoss`."""
        (gram,) = statistics
        self.means.append(torch.full_like(gram, torch.nan))
        return gram, self.means[-1]

    def distance(self, statistics: StyleStatistics, target: StyleStatistics) -> Tensor:
        """Update the running mean, and return its error plus a share of each photo's error; see `StyleLoss`."""
        (gram,), (wanted, running) = statistics, target
        batch = gram.mean(0, keepdim=True)
        with torch.no_grad():
            current = batch.clone()
            self._average([current])
            running.copy_(torch.where(running.isnan(), current, running.lerp(current, 1 - _MEMORY)))
        pooled = running + (batch - batch.detach())  # the running mean's value, with the batch's gradient
        return relative_error(pooled, wanted) + _OWN_SHARE * relative_error(gram, wanted)
