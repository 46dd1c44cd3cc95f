"""A transformer network that does nearly all its work at a quarter of the resolution.

After Johnson et al. 2016 and Ulyanov et al. 2016, with these departures:
- pixel-unshuffle by 4 instead of strided convolutions, so that no convolution ever runs at full resolution on the
  way in;
- doubling twice with a convolution between, by a fixed binomial filter whose response is zero at the period of its
  own grid, and nearly zero around it: neither flat nor busy areas can get the grid that pixel-shuffle, transposed
  convolutions and, around busy features, nearest neighbours and bilinear interpolation leave (Odena et al. 2016);
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


class _Doubling(nn.Module):
    """Doubles height and width by the binomial filter [1 5 10 10 5 1] / 16, smoother than bilinear [1 3 3 1] / 4."""

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 5.0, 10.0, 10.0, 5.0, 1.0]) / 16
        self.register_buffer("kernel", torch.outer(taps, taps).expand(channels, 1, -1, -1).clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        bordered = F.pad(x, (1, 1, 1, 1), mode="replicate")
        return F.conv_transpose2d(bordered, self.kernel, stride=2, padding=4, groups=x.shape[1])


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
        self.double_to_half = _Doubling(channels)
        self.to_half = _Normalised(channels, half_channels)
        self.double_to_full = _Doubling(half_channels)
        self.to_full = nn.Conv2d(half_channels, full_channels, 3, padding=1, padding_mode="reflect")
        self.out = nn.Conv2d(full_channels, 3, 3, padding=1, padding_mode="reflect")

    def forward(self, photo: Tensor) -> Tensor:
        height, width = photo.shape[-2:]
        x = F.pixel_unshuffle(pad_to_multiple(photo), 4)
        x = self.blocks(F.relu(self.stem(x), inplace=True))
        x = F.relu(self.to_half(self.double_to_half(x)), inplace=True)
        x = F.relu(self.to_full(self.double_to_full(x)), inplace=True)
        return torch.sigmoid(self.out(x))[..., :height, :width]
