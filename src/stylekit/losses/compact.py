"""The compact loss network: distilled from VGG-19 by `scripts/distill.py`, at a quarter of its work.

It computes half as many channels or fewer. Where VGG-19's activations `F` are close to `Q f`, a linear map of these few
channels `f`, losses need no wide tensors: the distances `|Q f - Q f'|`, and `|Q (G - G') Qᵀ|` of Gram matrices, depend
on `Qᵀ Q` alone. With the Cholesky factor `Qᵀ Q = L Lᵀ`, `Lᵀ f` has the same inner products as `Q f`. So losses made of
inner products (content, Gram matrices, moments) are VGG-19's, up to the error of `F ≈ Q f`.
"""

from collections.abc import Collection, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylekit.losses.layers import COMPACT_LAYERS, COMPACT_POOLED, COMPACT_WIDTHS, check_loss_layers
from stylekit.losses.vgg import IMAGENET_DEVIATION, IMAGENET_MEAN


class CompactFeatures(nn.Module):
    """Named activations of the compact loss network; a drop-in replacement for `VggFeatures`.

    Args:
        layers: Names out of `COMPACT_LAYERS`.
        weights: Of any precision, by the names of `compact_shapes`.

    Attributes:
        maps: Matrices `(C, C)` by layer: activations have VGG-19's inner products once their channels are mapped.

    Raises:
        ConfigError: If the network lacks a layer.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: Collection[str], weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        check_loss_layers(layers, "compact")
        self.layers = [layer for layer in COMPACT_LAYERS if layer in layers]
        self.features = nn.ModuleDict()
        for inputs, (layer, width) in zip((3, *COMPACT_WIDTHS.values()), COMPACT_WIDTHS.items(), strict=False):
            padding_mode = "zeros" if self.features else "replicate"  # see `VggFeatures`
            self.features[layer] = nn.Conv2d(inputs, width, 3, padding=1, padding_mode=padding_mode)  # type: ignore[arg-type]
        self.maps = nn.ParameterDict({layer: torch.empty(2 * (COMPACT_WIDTHS[layer],)) for layer in COMPACT_LAYERS})
        self.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        """Compute activations, before `maps`.

        Args:
            image: `(B, 3, H, W)`, RGB in [0, 1].
            layers: The layers to return, out of those chosen at construction; all of them by default.

        Returns:
            Activations `(B, C, H / 2^k, W / 2^k)` by layer.
        """
        wanted = [layer for layer in self.layers if layer in (layers or self.layers)]
        x, activations = (image - self.mean) / self.deviation, {}
        if x.device.type == "cpu":  # max pooling is ten times as fast in this layout; all of VGG-19 is slower
            x = x.contiguous(memory_format=torch.channels_last)
        for layer, convolution in self.features.items():
            x = convolution(x)
            if layer in COMPACT_POOLED and layer not in wanted:
                x = F.relu(F.max_pool2d(x, 2), inplace=True)  # pooling first gives the same, for a quarter of the ReLU
                continue
            x = F.relu(x, inplace=True)
            if layer in wanted:
                activations[layer] = x
            if layer == wanted[-1]:
                break
            if layer in COMPACT_POOLED:
                x = F.max_pool2d(x, 2)
        return activations
