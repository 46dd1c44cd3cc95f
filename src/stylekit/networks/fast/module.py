"""A transformer network that does most of its work at a quarter of the resolution.

After Johnson et al. 2016 and Ulyanov et al. 2016, with these differences:
- Pixel-unshuffle by 4 replaces strided convolutions, so that no convolution before the body runs at full resolution.
- A fixed low-pass filter doubles the features, twice. Networks make fine texture from features that alternate from
  cell to cell; pixel-shuffle, transposed convolutions, nearest neighbors and bilinear interpolation all let these
  through, and a grid becomes visible (Odena et al. 2016). This filter removes such features completely, which training
  cannot undo, and its response is nearly flat up to half their frequency, so that strokes stay crisp.
- A border of reflected pixels as wide as the receptive radius is added to the photo. Nothing is padded later: each
  convolution consumes part of the border. A network that can detect the image's edge learns to paint a frame there.
- Residual blocks normalize only inside, not at their end, which saves a pass over the features.
- Nothing is normalized above a quarter of the resolution, which avoids white spots, and a final sigmoid keeps all
  values in range.
- Instance normalization has a variance floor, so that the noise of a flat sky is not amplified into blobs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylekit.networks.fast.facts import DOUBLING_TAPS, FAST_BORDER_REST, FAST_VARIANCE_FLOOR, fast_border
from stylekit.networks.padding import pad_to_multiple


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3)


class Normalized(nn.Module):
    """A convolution and the instance normalization after it."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, stride)
        self.norm = nn.InstanceNorm2d(outputs, affine=True, eps=FAST_VARIANCE_FLOOR)

    def forward(self, x: Tensor) -> Tensor:
        """Return features `(B, outputs, H', W')` for features `(B, inputs, H, W)`."""
        out: Tensor = self.norm(self.convolution(x))
        return out


class Doubling(nn.Module):
    """Doubles height and width with a fixed filter, and crops four pixels at each edge, which depend on padding."""

    taps: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("taps", torch.tensor(DOUBLING_TAPS).repeat(channels, 1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return features `(B, C, 2 H - 8, 2 W - 8)` for features `(B, C, H, W)`."""
        channels, cut = x.shape[1], len(DOUBLING_TAPS) - 2  # pixels to crop
        x = F.conv_transpose2d(x, self.taps.mT, stride=(2, 1), padding=(cut, 0), groups=channels)
        return F.conv_transpose2d(x, self.taps, stride=(1, 2), padding=(0, cut), groups=channels)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Normalized(channels, channels)
        self.second = _convolution(channels, channels)
        with torch.no_grad():
            self.second.weight *= 0.5  # so that each block starts close to the identity

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x[..., 2:-2, 2:-2] + self.second(F.relu(self.first(x), inplace=True))
        return out


class Fast(nn.Module):
    """The network `fast`, which maps images `(B, 3, H, W)`, RGB in [0, 1], to images of the same shape and range.

    Args:
        channels: The number of features at a quarter of the resolution.
        blocks: The number of residual blocks.
        half_channels: The number of features at half the resolution.
        full_channels: The number of features at full resolution.
    """

    def __init__(self, channels: int, blocks: int, half_channels: int, full_channels: int) -> None:
        super().__init__()
        self.border = fast_border(blocks)
        self.stem = Normalized(3 * 4 * 4, channels)
        self.blocks = nn.Sequential(*(_Residual(channels) for _ in range(blocks)))
        self.to_half = _convolution(channels, half_channels)
        self.double_to_half = Doubling(half_channels)
        self.at_half = _convolution(half_channels, half_channels)
        self.to_full = _convolution(half_channels, full_channels)
        self.double_to_full = Doubling(full_channels)
        self.out = _convolution(full_channels, 3)

    def forward(self, photo: Tensor) -> Tensor:
        """Return the stylized photos."""
        height, width = photo.shape[-2:]
        x = F.pixel_unshuffle(pad_to_multiple(photo, self.border), 4)
        x = self.blocks(F.relu(self.stem(x), inplace=True))
        x = F.relu(self.at_half(self.double_to_half(self.to_half(x))), inplace=True)
        x = F.relu(self.double_to_full(self.to_full(x)), inplace=True)
        rows, columns = (slice(FAST_BORDER_REST, FAST_BORDER_REST + side) for side in (height, width))
        return torch.sigmoid(self.out(x)[..., rows, columns])
