"""Perceptual losses (Gatys et al. 2015, Johnson et al. 2016), which compare an image with a photo and paintings."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylekit.losses.networks import LossNetwork
from stylekit.losses.style import TINY, GramLoss, MomentsLoss, StyleLoss, StyleStatistics, relative_error

STYLE_LOSSES_BY_NAME: dict[str, Callable[[], StyleLoss]] = {
    "gram": GramLoss,
    "moments": MomentsLoss,
}


def total_variation(image: Tensor) -> Tensor:
    """Return the anisotropic total variation: the mean absolute differences of horizontal and of vertical neighbors.

    Args:
        image: `(B, C, H, W)`; a side of one pixel has no neighbors and adds nothing.

    Returns:
        A scalar of 0 or more, at most 2 for values in [0, 1].
    """
    terms = [image.diff(dim=dim).abs().mean() for dim in (-1, -2) if image.shape[dim] > 1]
    return sum(terms, image.new_zeros(()))


class Losses(NamedTuple):
    """The weighted total loss, and its parts before weighting, as scalars."""

    total: Tensor
    content: Tensor
    style: Tensor
    tv: Tensor


class PerceptualLoss(nn.Module):
    """The content, style and total variation losses of a stylized image, for a photo and one or more paintings.

    The paintings' statistics are computed once. Unlike in the papers, losses are relative, and the style can be
    compared at several octaves: image and painting at full size, at half size, at a quarter and so on. Several octaves
    give larger and bolder strokes than one, where even the highest layer sees only a few dozen pixels.

    Args:
        features: The loss network, from `build_loss_network`, with all the layers given here.
        paintings: `(1, 3, H, W)` each, RGB in [0, 1].
        content_layers: Layers whose activations are compared with the photo's.
        style_layers: Layers whose statistics are compared with the paintings', with their weights.
        content_weight: Weight of the content loss in the total.
        style_weight: Weight of the style loss in the total.
        tv_weight: Weight of the total variation in the total.
        octaves: Number of sizes for the style loss.
        painting_weights: The paintings' relative weights; equal by default.
        style_loss: `gram`, `moments`, or another definition of style.
        style_gains: Factors by layer for the paintings' statistics; 1 by default.
        mask: `(1, 1, H, W)` in [0, 1], of the image's size: how much each pixel counts in the style loss. By default,
            all pixels count equally.
    """

    def __init__(
        self,
        features: LossNetwork,
        *paintings: Tensor,
        content_layers: Sequence[str],
        style_layers: Mapping[str, float],
        content_weight: float,
        style_weight: float,
        tv_weight: float,
        octaves: int = 1,
        painting_weights: Sequence[float] = (),
        style_loss: str | StyleLoss = "gram",
        style_gains: Mapping[str, float] = MappingProxyType({}),
        mask: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.features = features
        self.content_layers = tuple(content_layers)
        self.style_layers = dict(style_layers)
        self.weights = (content_weight, style_weight, tv_weight)
        self.style_loss = STYLE_LOSSES_BY_NAME[style_loss]() if isinstance(style_loss, str) else style_loss
        self.style_gains = style_gains
        self.mask = mask
        self._masks: dict[tuple[int, int], Tensor] = {}
        self.content_energy: dict[str, Tensor] = {}
        with torch.no_grad():
            weights = [*painting_weights] or [1.0] * len(paintings)
            sizes = zip(*(_octaves(painting, octaves) for painting in paintings), strict=True)
            self.targets = [self._targets(size, weights) for size in sizes]

    def _targets(self, paintings: Sequence[Tensor], weights: Sequence[float]) -> dict[str, StyleStatistics]:
        """Return the target statistics by layer, which combine those of the paintings and include the layer's gain."""
        activations = [self.features(painting, self.style_layers) for painting in paintings]
        mixed = {}
        for name in self.style_layers:
            each = [self._statistics(name, of_painting[name]) for of_painting in activations]
            together = self.style_loss.mixed(each, weights, self.style_gains.get(name, 1.0))
            mixed[name] = self.style_loss.target(together)
        return mixed

    def _style(self, activations: Mapping[str, Tensor], targets: Mapping[str, StyleStatistics]) -> Tensor:
        weighted = [
            weight * self.style_loss.distance(self._statistics(name, activations[name], self.mask), targets[name])
            for name, weight in self.style_layers.items()
        ]
        return torch.stack(weighted).sum() / max(sum(self.style_layers.values()), TINY)

    def _statistics(self, name: str, activations: Tensor, mask: Tensor | None = None) -> StyleStatistics:
        height, width = activations.shape[-2:]
        pooled = None if mask is None else self._pooled(mask, height, width)
        return self.style_loss.statistics(activations, pooled, self.features.maps.get(name))

    def _mapped(self, name: str, activations: Tensor) -> Tensor:
        """Return activations mapped so that their distances approximate VGG-19's distances; see `CompactFeatures`."""
        mapping = self.features.maps.get(name)
        return activations if mapping is None else F.conv2d(activations, mapping[..., None, None])

    def _pooled(self, mask: Tensor, height: int, width: int) -> Tensor:
        """Return the mask at a layer's size, from a cache.

        It is pooled on the CPU, because MPS supports only sizes that divide the mask's size.
        """
        if (height, width) not in self._masks:
            self._masks[height, width] = F.adaptive_avg_pool2d(mask.cpu(), (height, width)).to(mask.device)
        return self._masks[height, width]

    def content_of(self, photo: Tensor) -> dict[str, Tensor]:
        """Return a photo's activations (no gradients), which `forward` compares with those of the stylized image."""
        with torch.no_grad():
            activations = self.features(photo, self.content_layers)
            return {name: self._mapped(name, activations[name]) for name in self.content_layers}

    def calibrate(self, photos: Sequence[Tensor]) -> None:
        """Make content losses relative to the mean energy of these photos, instead of the energy of each photo.

        A network that learns from many photos needs the same measure for all of them: relative to the low energy of a
        plain sky, any stroke would be a large error, and skies would stay unpainted.

        Args:
            photos: Photos like those used in training, `(B, 3, H, W)` each, all of one size, RGB in [0, 1].
        """
        contents = [self.content_of(photo) for photo in photos]
        energies = {name: [each[name].float().square().mean() for each in contents] for name in self.content_layers}
        self.content_energy = {name: torch.stack(values).mean() for name, values in energies.items()}

    def _content_distance(self, name: str, activations: Tensor, target: Tensor) -> Tensor:
        if name not in self.content_energy:
            return relative_error(activations, target)
        return (activations.float() - target.float()).square().mean() / self.content_energy[name].clamp_min(TINY)

    def forward(self, image: Tensor, content: Mapping[str, Tensor]) -> Losses:
        """Compute the losses.

        Args:
            image: The stylized photos, `(B, 3, H, W)`, RGB in [0, 1].
            content: The photos' activations, from `content_of`.
        """
        full, *smaller = _octaves(image, len(self.targets))
        activations = self.features(full, {*self.content_layers, *self.style_layers})
        errors = [
            self._content_distance(name, self._mapped(name, activations[name]), content[name])
            for name in self.content_layers
        ]
        octaves = [activations, *(self.features(size, self.style_layers) for size in smaller)]
        styles = [self._style(*pair) for pair in zip(octaves, self.targets, strict=True)]
        parts = torch.stack(errors).mean(), torch.stack(styles).mean(), total_variation(image)
        total = sum((weight * part for weight, part in zip(self.weights, parts, strict=True)), image.new_zeros(()))
        return Losses(total, *parts)


def _octaves(image: Tensor, number: int) -> list[Tensor]:
    """Return the image at full size, half size, a quarter and so on."""
    sizes = [image]
    while len(sizes) < number:
        sizes.append(F.avg_pool2d(sizes[-1], 2))
    return sizes
