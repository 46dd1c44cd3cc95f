"""A transformer network that does nearly all its work at a quarter of the resolution.

After Johnson et al. 2016 and Ulyanov et al. 2016, with these departures:
- pixel-unshuffle by 4 instead of strided convolutions, so that no convolution ever runs at full resolution on the
  way in;
- upsampling twice by 2 with a convolution between, by nearest neighbours and then bilinearly: a flat area of
  features gives a flat area of the picture whatever the weights are, so that the head cannot draw a grid
  (Odena et al. 2016), as pixel-shuffle does;
- no normalisation at full resolution and a sigmoid at the end: white spots and values out of range cannot occur;
- a variance floor in the instance normalisation, so that the noise of a flat sky is not blown up into blobs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylekit.networks.padding import pad_to_multiple

_VARIANCE_FLOOR = 1e-3


class _Normalised(nn.Module):
    """A 3×3 convolution with reflection padding, and instance normalisation behind it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")
        self.norm = nn.InstanceNorm2d(outputs, affine=True, eps=_VARIANCE_FLOOR)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.convolution(x))
        return out


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _Normalised(channels, channels)
        self.second = _Normalised(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.second(F.relu(self.first(x), inplace=True))
        return out


class Fast(nn.Module):
    """The quarter-resolution network: `(B, 3, H, W)` in [0, 1] to the same size, RGB, [0, 1].

    Args:
        channels: width at a quarter of the resolution.
        blocks: number of residual blocks.
        half_channels: width at half the resolution.
        full_channels: width at full resolution.
    """

    def __init__(self, channels: int, blocks: int, half_channels: int, full_channels: int) -> None:
        super().__init__()
        self.stem = _Normalised(3 * 4 * 4, channels)
        self.blocks = nn.Sequential(*(_Residual(channels) for _ in range(blocks)))
        self.to_half = _Normalised(channels, half_channels)
        self.to_full = nn.Conv2d(half_channels, full_channels, 3, padding=1, padding_mode="reflect")
        self.out = nn.Conv2d(full_channels, 3, 3, padding=1, padding_mode="reflect")

    def forward(self, photo: Tensor) -> Tensor:
        height, width = photo.shape[-2:]
        x = F.pixel_unshuffle(pad_to_multiple(photo), 4)
        x = self.blocks(F.relu(self.stem(x), inplace=True))
        x = F.relu(self.to_half(F.interpolate(x, scale_factor=2.0, mode="nearest")), inplace=True)
        x = F.relu(self.to_full(F.interpolate(x, scale_factor=2.0, mode="bilinear")), inplace=True)
        return torch.sigmoid(self.out(x))[..., :height, :width]
