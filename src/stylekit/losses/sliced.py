"""Style as the distribution of features: sliced Wasserstein distances, and Gram matrices beside them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from stylekit.losses.style import TINY, StyleStatistics, gram_matrix, relative_error, weighted_mean

_PLACES = 2048  # positions per layer, drawn at random, whose features are compared
_TARGET_PLACES = 65_536  # of the paintings, from which those are drawn
_DIRECTIONS = 64  # drawn at random for each comparison
GRAM_SHARE = 0.35  # of the relative Gram error beside the sliced distance; with 1, blobs come back


class SlicedLoss:
    """Sliced Wasserstein distance between the distributions of features (Heitz et al. 2021), plus a Gram error.

    Features at random positions are projected on random directions; the sorted projections of image and painting are
    compared by their mean squared difference, relative to the painting's mean square. Gram matrices, which are second
    moments, can be matched by a few extreme features, such as white blobs on a flat image; a distribution cannot. A
    share of the relative Gram error remains, because it asks for the painting's correlations of channels at once.

    Departs from the paper in the random positions, the relative error and the Gram error.

    Args:
        gram_share: Weight of the relative Gram error beside the sliced distance.
    """

    def __init__(self, gram_share: float = GRAM_SHARE) -> None:
        self.gram_share = gram_share
        self._random = torch.Generator()

    def reseed(self, seed: int) -> None:
        """Make the positions and directions drawn from now on follow from a seed."""
        self._random.manual_seed(seed)

    def statistics(
        self, activations: Tensor, mask: Tensor | None = None, mapping: Tensor | None = None
    ) -> StyleStatistics:
        """Return the features `(B, C, H·W)` and their Gram matrices; see `StyleLoss`. Masks are not supported."""
        if mask is not None:
            raise ValueError("the sliced style loss does not support masks")
        features = activations.flatten(2)
        if mapping is not None:
            features = mapping @ features.to(mapping.dtype)
        return features, gram_matrix(activations, mask, mapping)

    def mixed(self, each: Sequence[StyleStatistics], weights: Sequence[float], gain: float) -> StyleStatistics:
        """Return the features of several paintings in proportion to their weights; see `StyleLoss`."""
        drawn = []
        for (features, _), weight in zip(each, weights, strict=True):
            number = round(_TARGET_PLACES * weight / sum(weights))
            drawn.append(self._drawn(features, number) if features.shape[2] > number or len(each) > 1 else features)
        (gram,) = weighted_mean([(gram,) for _, gram in each], weights, gain)
        return torch.cat(drawn, dim=2) * gain**0.5, gram

    def target(self, statistics: StyleStatistics) -> StyleStatistics:
        """See `StyleLoss`."""
        return statistics

    def distance(self, statistics: StyleStatistics, target: StyleStatistics) -> Tensor:
        """Return the distance of the distributions and of the Gram matrices from the target's; see `StyleLoss`."""
        (features, gram), (target_features, target_gram) = statistics, target
        sides = [
            self._drawn(side, _PLACES) if side.shape[2] > _PLACES else side for side in (features, target_features)
        ]
        wide = torch.promote_types(features.dtype, torch.float32)
        directions = F.normalize(torch.randn(_DIRECTIONS, features.shape[1], generator=self._random), dim=1)
        directions = directions.to(features.device, wide)
        with torch.autocast(features.device.type, enabled=False):
            own, targets = ((directions @ side.to(wide)).sort(-1).values for side in sides)
        if targets.shape[-1] != own.shape[-1]:  # as many quantiles of both
            targets = F.interpolate(targets, own.shape[-1], mode="linear", align_corners=True)
        error = (own - targets).square().mean() / targets.square().mean().clamp_min(TINY)
        return error + self.gram_share * relative_error(gram, target_gram)

    def _drawn(self, features: Tensor, number: int) -> Tensor:
        """Return the features at so many random positions."""
        positions = torch.randint(features.shape[2], (number,), generator=self._random)
        return features[..., positions.to(features.device)]
