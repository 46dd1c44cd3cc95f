"""A U-shaped transformer network, in which most layers run at an eighth or a sixteenth of the photo's resolution.

After Johnson et al. 2016, Ulyanov et al. 2016 and Ronneberger et al. 2015, with these differences:
- Levels at 1/4, 1/8 and 1/16 of the resolution are joined by skip connections that add. The coarsest level sees about
  two hundred pixels in each direction and can paint large shapes, for a few hundred multiplications per pixel.
- The way up uses leaky ReLUs, because a dead unit there would leave a flat area in the image.
- At the coarse levels, convolutions pad by repeating the edge. A reflected border is added to the photo and later
  cropped, which removes the artifacts of this padding.
- The layers back to full resolution, the border, and the residual blocks, which normalize only inside, are those of
  `fast`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylekit.networks.fast.module import Doubling, Normalized
from stylekit.networks.padding import pad_to_multiple
from stylekit.networks.unet.facts import BODY_BORDER, BORDER_REST, CELL, LEAK, STEM_BORDER


def _edge(x: Tensor) -> Tensor:
    return F.pad(x, (1,) * 4, mode="replicate")


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Normalized(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3)
        with torch.no_grad():
            self.second.weight *= 0.5  # so that each block starts close to the identity

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.second(_edge(F.relu(self.first(_edge(x)))))
        return out


class UNet(nn.Module):
    """The network `unet`, which maps images `(B, 3, H, W)`, RGB in [0, 1], to images of the same shape and range.

    Args:
        channels: The number of features at 1/4 of the resolution.
        eighth_channels: The number of features at 1/8 of the resolution.
        sixteenth_channels: The number of features at 1/16 of the resolution.
        sixteenth_blocks: The number of residual blocks at 1/16 of the resolution.
        half_channels: The number of features at half the resolution.
        full_channels: The number of features at full resolution.
    """

    def __init__(
        self,
        channels: int,
        eighth_channels: int,
        sixteenth_channels: int,
        sixteenth_blocks: int,
        half_channels: int,
        full_channels: int,
    ) -> None:
        super().__init__()
        self.stem = Normalized(3 * 4 * 4, channels)
        self.quarter_in = _Block(channels)
        self.to_eighth = Normalized(channels, eighth_channels, stride=2)
        self.eighth_in = _Block(eighth_channels)
        self.to_sixteenth = Normalized(eighth_channels, sixteenth_channels, stride=2)
        self.sixteenth = nn.Sequential(*(_Block(sixteenth_channels) for _ in range(sixteenth_blocks)))
        self.back_to_eighth = Normalized(sixteenth_channels, eighth_channels)
        self.eighth_out = _Block(eighth_channels)
        self.back_to_quarter = Normalized(eighth_channels, channels)
        self.quarter_out = _Block(channels)
        self.to_half = nn.Conv2d(channels, half_channels, 3)
        self.double_to_half = Doubling(half_channels)
        self.at_half = nn.Conv2d(half_channels, half_channels, 3)
        self.to_full = nn.Conv2d(half_channels, full_channels, 3)
        self.double_to_full = Doubling(full_channels)
        self.out = nn.Conv2d(full_channels, 3, 3)

    def forward(self, photo: Tensor) -> Tensor:
        """Return the stylized photos."""
        height, width = photo.shape[-2:]
        x = F.pixel_unshuffle(pad_to_multiple(photo, BODY_BORDER + STEM_BORDER, CELL), 4)
        quarter = self.quarter_in(F.relu(self.stem(x)))
        eighth = self.eighth_in(F.relu(self.to_eighth(_edge(quarter))))
        x = self.sixteenth(F.relu(self.to_sixteenth(_edge(eighth))))
        x = self.eighth_out(eighth + _doubled(F.leaky_relu(self.back_to_eighth(_edge(x)), LEAK)))
        x = self.quarter_out(quarter + _doubled(F.leaky_relu(self.back_to_quarter(_edge(x)), LEAK)))
        x = F.leaky_relu(self.at_half(self.double_to_half(self.to_half(x))), LEAK)
        x = F.leaky_relu(self.double_to_full(self.to_full(x)), LEAK)
        rows, columns = (slice(BORDER_REST, BORDER_REST + side) for side in (height, width))
        return torch.sigmoid(self.out(x)[..., rows, columns])
