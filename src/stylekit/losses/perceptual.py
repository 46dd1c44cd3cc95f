"""Perceptual losses (Gatys et al. 2015, Johnson et al. 2016) of a picture against a photo and paintings."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylekit.losses.networks import LossNetwork
from stylekit.losses.style import STYLE_LOSSES, TINY, Statistics, relative_error


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
    """Content, style and total variation of a stylised picture against its photo and one painting or several.

    The paintings' statistics are computed once. With several octaves, the style is compared at the full size and
    again at each half of it, picture and painting alike: strokes grow large and bold, which a single size, whose
    highest layer sees only a few tens of pixels, does not ask for. Departs from the papers in both.

    Args:
        features: the loss network, as `build_loss_network` returns it, with all the layers named here.
        paintings: `(1, 3, H, W)` each, RGB in [0, 1].
        content_layers: layers whose activations are compared with the photo's.
        style_layers: layers whose statistics are compared with the paintings', with their weights.
        content_weight: weight of the content loss in the total.
        style_weight: weight of the style loss in the total.
        tv_weight: weight of the total variation in the total.
        octaves: number of sizes for the style loss.
        painting_weights: how much each painting counts; all the same by default.
        style_loss: `gram` or `moments`; see `STYLE_LOSSES`.
        style_gains: factors of the paintings' statistics by layer, 1 unless given.
        mask: `(1, 1, H, W)` of the picture's size in [0, 1]: where its style counts.
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
        style_loss: str = "gram",
        style_gains: Mapping[str, float] = MappingProxyType({}),
        mask: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.features = features
        self.content_layers = tuple(content_layers)
        self.style_layers = dict(style_layers)
        self.weights = (content_weight, style_weight, tv_weight)
        self.style_loss = STYLE_LOSSES[style_loss]
        self.style_gains = style_gains
        self.mask = mask
        self._masks: dict[tuple[int, int], Tensor] = {}
        self.content_energy: dict[str, Tensor] = {}
        with torch.no_grad():
            counts = [*painting_weights] or [1.0] * len(paintings)
            sizes = zip(*(_octaves(painting, octaves) for painting in paintings), strict=True)
            self.targets = [self._targets(size, counts) for size in sizes]

    def _targets(self, paintings: Sequence[Tensor], counts: Sequence[float]) -> dict[str, Statistics]:
        """The paintings' statistics by layer, mixed in proportion to how much each painting counts, and raised."""
        activations = [self.features(painting, self.style_layers) for painting in paintings]
        mixed = {}
        for name in self.style_layers:
            each = [self._statistics(name, of_painting[name]) for of_painting in activations]
            parts = (sum(c * part for c, part in zip(counts, same, strict=True)) for same in zip(*each, strict=True))
            share = self.style_gains.get(name, 1) / sum(counts)
            mixed[name] = self.style_loss.target(tuple(part * share for part in parts))
        return mixed

    def _style(self, activations: Mapping[str, Tensor], targets: Mapping[str, Statistics]) -> Tensor:
        weighted = [
            weight * self.style_loss.distance(self._statistics(name, activations[name], self.mask), targets[name])
            for name, weight in self.style_layers.items()
        ]
        return torch.stack(weighted).sum() / max(sum(self.style_layers.values()), TINY)

    def _statistics(self, name: str, activations: Tensor, mask: Tensor | None = None) -> Statistics:
        height, width = activations.shape[-2:]
        pooled = None if mask is None else self._pooled(mask, height, width)
        return self.style_loss.statistics(activations, pooled, self.features.maps.get(name))

    def _mapped(self, name: str, activations: Tensor) -> Tensor:
        """Activations as they are to be compared."""
        mapping = self.features.maps.get(name)
        return activations if mapping is None else F.conv2d(activations, mapping[..., None, None])

    def _pooled(self, mask: Tensor, height: int, width: int) -> Tensor:
        """The mask at a layer's size, worked out once; by the CPU, for MPS knows only sizes that divide."""
        if (height, width) not in self._masks:
            self._masks[height, width] = F.adaptive_avg_pool2d(mask.cpu(), (height, width)).to(mask.device)
        return self._masks[height, width]

    def content_of(self, photo: Tensor) -> dict[str, Tensor]:
        """Return what `forward` compares pictures of a photo with: its activations, without gradients."""
        with torch.no_grad():
            activations = self.features(photo, self.content_layers)
            return {name: self._mapped(name, activations[name]) for name in self.content_layers}

    def calibrate(self, photos: Sequence[Tensor]) -> None:
        """Take content losses relative to these photos' mean energy from now on, not each to its own photo's.

        A network that learns from many photos needs one measure for all: a plain sky has so little energy that
        relative to it any stroke is a large error, and would stay unpainted.

        Args:
            photos: `(B, 3, H, W)` each, of one size, RGB in [0, 1], like those to come.
        """
        wanted = [self.content_of(photo) for photo in photos]
        energies = {name: [each[name].float().square().mean() for each in wanted] for name in self.content_layers}
        self.content_energy = {name: torch.stack(values).mean() for name, values in energies.items()}

    def _content_distance(self, name: str, activations: Tensor, wanted: Tensor) -> Tensor:
        if name not in self.content_energy:
            return relative_error(activations, wanted)
        return (activations.float() - wanted.float()).square().mean() / self.content_energy[name].clamp_min(TINY)

    def forward(self, picture: Tensor, content: Mapping[str, Tensor]) -> Losses:
        """Compute the losses.

        Args:
            picture: `(B, 3, H, W)`, the stylised photos, RGB in [0, 1].
            content: what `content_of` returned for the photos.
        """
        full, *smaller = _octaves(picture, len(self.targets))
        activations = self.features(full, {*self.content_layers, *self.style_layers})
        errors = [
            self._content_distance(name, self._mapped(name, activations[name]), content[name])
            for name in self.content_layers
        ]
        octaves = [activations, *(self.features(size, self.style_layers) for size in smaller)]
        styles = [self._style(*pair) for pair in zip(octaves, self.targets, strict=True)]
        parts = torch.stack(errors).mean(), torch.stack(styles).mean(), total_variation(picture)
        total = sum((weight * part for weight, part in zip(self.weights, parts, strict=True)), picture.new_zeros(()))
        return Losses(total, *parts)


def _octaves(picture: Tensor, number: int) -> list[Tensor]:
    """The picture itself, half its size, a quarter of it …"""
    sizes = [picture]
    while len(sizes) < number:
        sizes.append(F.avg_pool2d(sizes[-1], 2))
    return sizes
