"""The compact loss network: a quarter of VGG-19's work, distilled from it (`benchmarks/distill.py`).

It computes half of the channels or less. Where activations `F` of VGG-19 are nearly `Q f`, a linear map of these few
`f`, distances `|Q f - Q f'|` and those of Gram matrices, `|Q (G - G') Qᵀ|`, need no wide tensors: `Lᵀ f` has the same
inner products, with the Cholesky factor `Qᵀ Q = L Lᵀ`. So what a loss makes of inner products, as those of content,
Gram matrices and moments do, is what it would make of VGG-19's activations, as far as `F` is `Q f`.
"""

from collections.abc import Collection, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylekit.losses.layers import COMPACT_LAYERS, COMPACT_POOLED, COMPACT_WIDTHS, check_loss_layers
from stylekit.losses.vgg import IMAGENET_DEVIATION, IMAGENET_MEAN


class CompactFeatures(nn.Module):
    """Named activations of the compact loss network, in place of `VggFeatures`.

    Args:
        layers: names out of `COMPACT_LAYERS`.
        weights: of any precision, by the names of `compact_shapes`.

    Attributes:
        maps: `(C, C)` by layer: activations have VGG-19's inner products once their channels are mapped.

    Raises:
        ConfigError: if it has no such layer.
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

    def forward(self, picture: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        """Compute activations, not mapped yet.

        Args:
            picture: `(B, 3, H, W)`, RGB in [0, 1].
            layers: those wanted now, of the ones named at construction; all of them by default.

        Returns:
            Activations `(B, C, H / 2^k, W / 2^k)` by layer.
        """
        wanted = [layer for layer in self.layers if layer in (layers or self.layers)]
        x, activations = (picture - self.mean) / self.deviation, {}
        if x.device.type == "cpu":  # where maxima are pooled ten times as fast so; all of VGG-19 is slower
            x = x.contiguous(memory_format=torch.channels_last)
        for layer, convolution in self.features.items():
            x = convolution(x)
            if layer in COMPACT_POOLED and layer not in wanted:
                x = F.relu(F.max_pool2d(x, 2), inplace=True)  # as good as the maxima of rectified values, and a quarter
                continue
            x = F.relu(x, inplace=True)
            if layer in wanted:
                activations[layer] = x
            if layer == wanted[-1]:
                break
            if layer in COMPACT_POOLED:
                x = F.max_pool2d(x, 2)
        return activations
