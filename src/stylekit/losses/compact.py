"""The compact loss network, which is distilled from VGG-19 and takes a quarter of the computation.

The network is trained by `scripts/distill.py`, and has at most half as many channels as VGG-19. A linear map `Q` of its
activations `f` approximates VGG-19's activations: `F ≈ Q f`. Losses need not compute `Q f`, because distances
`|Q f - Q f'|` between activations and `|Q (G - G') Qᵀ|` between Gram matrices depend only on `Qᵀ Q`. With the Cholesky
factor `Qᵀ Q = L Lᵀ`, `Lᵀ f` has the same inner products as `Q f`. Losses that consist of inner products (content, Gram
matrices, moments) therefore equal the losses of VGG-19, up to the error of the approximation.
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
        layers: Names from `COMPACT_LAYERS`.
        weights: The parameters by the names in `compact_shapes`, of any precision.

    Attributes:
        maps: Matrices `(C, C)` by layer. Activations multiplied by these matrices have the inner products of VGG-19's.

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
            layers: The layers to return, a subset of those chosen at construction; all of them by default.

        Returns:
            Activations `(B, C, H / 2^k, W / 2^k)` by layer.
        """
        wanted = [layer for layer in self.layers if layer in (layers or self.layers)]
        x, activations = (image - self.mean) / self.deviation, {}
        if x.device.type == "cpu":  # max pooling is ten times as fast in this layout (VGG-19 would be slower overall)
            x = x.contiguous(memory_format=torch.channels_last)
        for layer, convolution in self.features.items():
            x = convolution(x)
            if layer in COMPACT_POOLED and layer not in wanted:
                x = F.relu(F.max_pool2d(x, 2), inplace=True)  # the same result, with ReLU on a quarter of the values
                continue
            x = F.relu(x, inplace=True)
            if layer in wanted:
                activations[layer] = x
            if layer == wanted[-1]:
                break
            if layer in COMPACT_POOLED:
                x = F.max_pool2d(x, 2)
        return activations
