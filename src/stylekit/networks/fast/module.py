"""A transformer network that does nearly all its work at a quarter of the resolution.

After Johnson et al. 2016 and Ulyanov et al. 2016, with these departures:
- pixel-unshuffle by 4 instead of strided convolutions, so that no convolution ever runs at full resolution on the
  way in;
- doubling twice by a fixed low-pass filter. Features that alternate from cell to cell are what a network makes fine
  texture of, if it can; pixel-shuffle, transposed convolutions, nearest neighbours and bilinear interpolation all let
  them through, and a grid is seen (Odena et al. 2016). This filter's response is zero there, exactly, so that no
  training brings it back, and nearly flat up to half of that frequency, so that strokes stay crisp;
- a border of reflected pixels, as wide as the convolutions reach, and no padding anywhere within: each convolution
  eats its share of the border. A network that sees where its picture ends learns to paint a frame there, above all
  that of a painting on a mount;
- normalisation inside the residual blocks only, not where they end: one pass over the features less;
- none above a quarter of the resolution and a sigmoid at the end: white spots and values out of range cannot occur;
- a variance floor in the instance normalisation, so that the noise of a flat sky is not blown up into blobs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylekit.networks.fast.facts import DOUBLING_TAPS, FAST_BORDER_REST, FAST_VARIANCE_FLOOR, fast_border
from stylekit.networks.padding import pad_to_multiple


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3)


class _Normalised(nn.Module):
    """A convolution, and instance normalisation behind it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = _convolution(inputs, outputs)
        self.norm = nn.InstanceNorm2d(outputs, affine=True, eps=FAST_VARIANCE_FLOOR)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.convolution(x))
        return out


class _Doubling(nn.Module):
    """Doubles height and width by a fixed filter, rows and columns in turn, but for the outer four rows and columns."""

    taps: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("taps", torch.tensor(DOUBLING_TAPS).repeat(channels, 1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        channels, cut = x.shape[1], len(DOUBLING_TAPS) - 2  # what depends on values beyond the edges
        x = F.conv_transpose2d(x, self.taps.mT, stride=(2, 1), padding=(cut, 0), groups=channels)
        return F.conv_transpose2d(x, self.taps, stride=(1, 2), padding=(0, cut), groups=channels)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _Normalised(channels, channels)
        self.second = _convolution(channels, channels)
        with torch.no_grad():
            self.second.weight *= 0.5  # a block begins as a small change

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x[..., 2:-2, 2:-2] + self.second(F.relu(self.first(x), inplace=True))
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
        self.border = fast_border(blocks)
        self.stem = _Normalised(3 * 4 * 4, channels)
        self.blocks = nn.Sequential(*(_Residual(channels) for _ in range(blocks)))
        self.to_half = _convolution(channels, half_channels)
        self.double_to_half = _Doubling(half_channels)
        self.at_half = _convolution(half_channels, half_channels)
        self.to_full = _convolution(half_channels, full_channels)
        self.double_to_full = _Doubling(full_channels)
        self.out = _convolution(full_channels, 3)

    def forward(self, photo: Tensor) -> Tensor:
        height, width = photo.shape[-2:]
        x = F.pixel_unshuffle(pad_to_multiple(photo, self.border), 4)
        x = self.blocks(F.relu(self.stem(x), inplace=True))
        x = F.relu(self.at_half(self.double_to_half(self.to_half(x))), inplace=True)
        x = F.relu(self.double_to_full(self.to_full(x)), inplace=True)
        rows, columns = (slice(FAST_BORDER_REST, FAST_BORDER_REST + side) for side in (height, width))
        return torch.sigmoid(self.out(x)[..., rows, columns])
