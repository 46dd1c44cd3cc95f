"""Perceptual losses (Gatys et al. 2015, Johnson et al. 2016), made relative.

Published Gram normalisers differ, which is why style weights never carry over from one program to the next. Here
each loss is the ratio of a squared error to the target's own square, so that a weight means the same for every
layer, size, loss network and painting. Ratios are taken per picture and averaged over the batch.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylekit.vgg import VggFeatures

_TINY = 1e-12  # keeps a ratio finite where the target is zero throughout


def gram_matrix(activations: Tensor) -> Tensor:
    """Correlations of channels: `G = F Fᵀ / (H·W)`, in float32 or wider whatever the precision around it.

    Args:
        activations: `(B, C, H, W)`.

    Returns:
        `(B, C, C)`, symmetric and positive semi-definite.
    """
    wide = torch.promote_types(activations.dtype, torch.float32)
    with torch.autocast(activations.device.type, enabled=False):
        flat = activations.to(wide).flatten(2)
        return flat @ flat.transpose(1, 2) / flat.shape[2]


def relative_error(value: Tensor, target: Tensor) -> Tensor:
    """`mean((value - target)²) / mean(target²)` per picture, averaged over the batch.

    Args:
        value: `(B, …)`.
        target: `(B, …)` or `(1, …)` of the same shape otherwise.

    Returns:
        A scalar of 0 or more; 0 only where both are equal.
    """
    wide = torch.promote_types(value.dtype, torch.float32)
    value, target = value.to(wide).flatten(1), target.to(wide).flatten(1)
    error = (value - target).square().mean(1)
    return (error / target.square().mean(1).clamp_min(_TINY)).mean()


def total_variation(picture: Tensor) -> Tensor:
    """Mean absolute difference of horizontal and of vertical neighbours, added (anisotropic total variation).

    Args:
        picture: `(B, C, H, W)`; a side of one pixel has no neighbours and adds nothing.

    Returns:
        A scalar of 0 or more; for values in [0, 1] at most 2.
    """
    terms = [picture.diff(dim=dim).abs().mean() for dim in (-1, -2) if picture.shape[dim] > 1]
    return sum(terms, picture.new_zeros(()))


class Losses(NamedTuple):
    """The weighted total and its parts before weighting, as scalars."""

    total: Tensor
    content: Tensor
    style: Tensor
    tv: Tensor


class PerceptualLoss(nn.Module):
    """Content, style and total variation of a stylised picture against its photo and one painting.

    The painting's Gram matrices are computed once. With several octaves, the style is compared at the full size and
    again at each half of it, picture and painting alike: strokes grow large and bold, which a single size, whose
    highest layer sees only a few tens of pixels, does not ask for. Departs from the papers in both.

    Args:
        features: the loss network, holding all the layers named here.
        painting: `(1, 3, H, W)`, RGB in [0, 1].
        content_layers: layers whose activations are compared with the photo's.
        style_layers: layers whose Gram matrices are compared with the painting's, with their weights.
        content_weight: weight of the content loss in the total.
        style_weight: weight of the style loss in the total.
        tv_weight: weight of the total variation in the total.
        octaves: number of sizes for the style loss.
    """

    def __init__(
        self,
        features: VggFeatures,
        painting: Tensor,
        *,
        content_layers: Sequence[str],
        style_layers: Mapping[str, float],
        content_weight: float,
        style_weight: float,
        tv_weight: float,
        octaves: int = 1,
    ) -> None:
        super().__init__()
        self.features = features
        self.content_layers = tuple(content_layers)
        self.style_layers = dict(style_layers)
        self.weights = (content_weight, style_weight, tv_weight)
        with torch.no_grad():
            self.targets = [self._grams(size) for size in _octaves(painting, octaves)]

    def _grams(self, picture: Tensor) -> dict[str, Tensor]:
        return {name: gram_matrix(f) for name, f in self.features(picture, self.style_layers).items()}

    def _style(self, activations: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        weighted = [
            weight * relative_error(gram_matrix(activations[name]), targets[name])
            for name, weight in self.style_layers.items()
        ]
        return torch.stack(weighted).sum() / max(sum(self.style_layers.values()), _TINY)

    def forward(self, picture: Tensor, photo: Tensor) -> Losses:
        """Compute the losses.

        Args:
            picture: `(B, 3, H, W)`, the stylised photos, RGB in [0, 1].
            photo: `(B, 3, H, W)`, the photos; no gradient flows to them.
        """
        with torch.no_grad():
            wanted = self.features(photo, self.content_layers)
        full, *smaller = _octaves(picture, len(self.targets))
        activations = self.features(full, {*self.content_layers, *self.style_layers})
        content = torch.stack([relative_error(activations[name], wanted[name]) for name in self.content_layers]).mean()
        octaves = [activations, *(self.features(size, self.style_layers) for size in smaller)]
        style = torch.stack([self._style(*pair) for pair in zip(octaves, self.targets, strict=True)]).mean()
        parts = content, style, total_variation(picture)
        total = sum((weight * part for weight, part in zip(self.weights, parts, strict=True)), picture.new_zeros(()))
        return Losses(total, *parts)


def _octaves(picture: Tensor, number: int) -> list[Tensor]:
    """The picture itself, half its size, a quarter of it …"""
    sizes = [picture]
    while len(sizes) < number:
        sizes.append(F.avg_pool2d(sizes[-1], 2))
    return sizes
