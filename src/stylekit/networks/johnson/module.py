"""The image transformation network of Johnson et al. 2016, with instance normalization (Ulyanov et al. 2016).

Parameter names, layers and value range are those of pytorch/examples' fast_neural_style, so weights published for
that code can be loaded. Like that code, the network departs from Johnson's supplement: it upsamples by nearest
neighbors instead of transposed convolutions, pads by reflection throughout, and has no scaled tanh at the end.

In evaluation on a CPU, the last three convolutions are computed at lower resolutions, which gives the same result in
5.3 s per megapixel instead of 6.5 s. (A channels-last layout takes 6.4 s, and fusing instance normalization with ReLU
in `addcmul` takes twice as long.)
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylekit.networks.padding import pad_to_multiple
from stylekit.networks.shapes import SIDE_MULTIPLE


class _Convolution(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(inputs, outputs, kernel, stride)
        self.padding = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2d(F.pad(x, (self.padding,) * 4, mode="reflect"))
        return out


class _DoubledConvolution(_Convolution):
    """A convolution that first upsamples its input 2x by repetition."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.training or x.device.type != "cpu":
            return super().forward(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        # Each pixel depends on only 2x2 features, which needs 4/9 of the multiplications. Reflecting the doubled
        # features is the same as repeating the edge of the original features.
        sums = x.new_tensor([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])  # of the taps that meet the same feature
        batch, _, height, width = x.shape
        x = F.pad(x, (1,) * 4, mode="replicate")
        out = x.new_empty(batch, self.conv2d.out_channels, 2 * height, 2 * width)
        for row in (0, 1):
            for column in (0, 1):
                kernels = sums[row] @ self.conv2d.weight @ sums[column].T
                seen = x[..., row : row + height + 1, column : column + width + 1]
                out[..., row::2, column::2] = F.conv2d(seen, kernels, self.conv2d.bias)
        return out


class _LastConvolution(_Convolution):
    """The last convolution, computed in blocks, because its three channels alone would not fill a SIMD vector."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training or x.device.type != "cpu":
            return super().forward(x)
        side = SIDE_MULTIPLE  # all pixels of a block are computed at once, as channels
        shifted = [
            F.pad(self.conv2d.weight, (column, side - 1 - column, row, side - 1 - row))
            for row in range(side)
            for column in range(side)
        ]
        assert self.conv2d.bias is not None
        bias = self.conv2d.bias.repeat_interleave(side**2)
        x = F.pad(x, (self.padding,) * 4, mode="reflect")
        return F.pixel_shuffle(F.conv2d(x, torch.stack(shifted, 1).flatten(0, 1), bias, stride=side), side)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _Convolution(channels, channels, 3)
        self.in1 = nn.InstanceNorm2d(channels, affine=True)
        self.conv2 = _Convolution(channels, channels, 3)
        self.in2 = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.in2(self.conv2(F.relu(self.in1(self.conv1(x)), inplace=True)))
        return out


class Johnson(nn.Module):
    """The network `johnson`, which maps images `(B, 3, H, W)`, RGB in [0, 1], to the same shape, roughly in [0, 1].

    The network has 1.68 million parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _Convolution(3, 32, 9)
        self.in1 = nn.InstanceNorm2d(32, affine=True)
        self.conv2 = _Convolution(32, 64, 3, stride=2)
        self.in2 = nn.InstanceNorm2d(64, affine=True)
        self.conv3 = _Convolution(64, 128, 3, stride=2)
        self.in3 = nn.InstanceNorm2d(128, affine=True)
        self.res1, self.res2, self.res3, self.res4, self.res5 = (_Residual(128) for _ in range(5))
        self.deconv1 = _DoubledConvolution(128, 64)
        self.in4 = nn.InstanceNorm2d(64, affine=True)
        self.deconv2 = _DoubledConvolution(64, 32)
        self.in5 = nn.InstanceNorm2d(32, affine=True)
        self.deconv3 = _LastConvolution(32, 3, 9)

    def forward(self, photo: Tensor) -> Tensor:
        """Return the stylized photos."""
        height, width = photo.shape[-2:]
        x = pad_to_multiple(photo) * 255  # the published weights expect values from 0 to 255
        x = F.relu(self.in1(self.conv1(x)), inplace=True)
        x = F.relu(self.in2(self.conv2(x)), inplace=True)
        x = F.relu(self.in3(self.conv3(x)), inplace=True)
        for block in (self.res1, self.res2, self.res3, self.res4, self.res5):
            x = block(x)
        x = F.relu(self.in4(self.deconv1(x)), inplace=True)
        x = F.relu(self.in5(self.deconv2(x)), inplace=True)
        out: Tensor = self.deconv3(x) / 255
        return out[..., :height, :width]
