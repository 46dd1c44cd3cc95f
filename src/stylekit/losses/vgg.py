"""The loss network: VGG-19 (Simonyan and Zisserman 2014) as a source of named activations."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from stylekit.errors import LossWeightsError
from stylekit.losses.layers import VGG19_LAYERS, check_loss_layers, highest_layer

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class VggFeatures(nn.Module):
    """Named activations of VGG-19, up to the highest layer asked for and none above.

    Departs from torchvision's network in the padding of the first convolution, which repeats the border instead of
    adding black pixels (zero is not black after normalisation, but a colour): the frame would otherwise be an edge
    that every picture shares and the losses would shape the borders by it.

    Args:
        layers: names from `relu1_1` to `relu5_4`.
        weights: VGG-19's convolutions under torchvision's names (`features.0.weight` …), as many as the layers need.
        pooling: `max` as trained, or `avg` as Gatys et al. 2015 preferred.

    Raises:
        ConfigError: if VGG-19 has no such layer.
        LossWeightsError: if the weights do not reach as high as the layers, or have wrong shapes.
    """

    mean: Tensor
    deviation: Tensor
    maps: Mapping[str, Tensor] = MappingProxyType({})  # its activations are compared as they are

    def __init__(self, layers: Collection[str], weights: Mapping[str, Tensor], pooling: str = "max") -> None:
        super().__init__()
        check_loss_layers(layers)
        order = list(VGG19_LAYERS)
        self.layers = sorted(layers, key=order.index)
        reach = highest_layer(weights)
        if order.index(self.layers[-1]) > order.index(reach):
            raise LossWeightsError(
                f"The loss weights reach up to {reach}, not to {self.layers[-1]}.",
                f"Choose layers up to {reach}, or weights that hold all of VGG-19's convolutions.",
            )
        self.features = _architecture(VGG19_LAYERS[self.layers[-1]].index + 2, pooling)
        self._load(weights)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def _load(self, weights: Mapping[str, Tensor]) -> None:
        names = [f"features.{name}" for name in self.features.state_dict()]
        for convolution in VGG19_LAYERS.values():
            for name, shape in convolution.shapes.items():
                if name in names and tuple(weights[name].shape) != shape:
                    raise LossWeightsError(f"{name} of the loss weights is {tuple(weights[name].shape)}, not {shape}.")
        state = {name.removeprefix("features."): weights[name].float() for name in names}
        self.features.load_state_dict(state, assign=True)

    def forward(self, picture: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        """Compute activations.

        Args:
            picture: `(B, 3, H, W)`, RGB in [0, 1].
            layers: those wanted now, of the ones named at construction; all of them by default.

        Returns:
            Activations `(B, C, H / 2^k, W / 2^k)` by layer.
        """
        wanted = {VGG19_LAYERS[layer].index + 1: layer for layer in (layers or self.layers)}
        x, activations = (picture - self.mean) / self.deviation, {}
        for index, module in enumerate(self.features[: max(wanted) + 1]):
            x = module(x)
            if index in wanted:
                activations[wanted[index]] = x
        return activations


def _architecture(depth: int, pooling: str) -> nn.Sequential:
    """Return the first `depth` modules of torchvision's VGG-19, without memory for weights."""
    from torchvision.models import vgg19  # seconds to import, and only training needs it

    with torch.device("meta"):
        features = vgg19(weights=None, init_weights=False).features[:depth]
    features[0].padding_mode = "replicate"
    for index, module in enumerate(features):
        if isinstance(module, nn.MaxPool2d) and pooling == "avg":
            features[index] = nn.AvgPool2d(2)
    sequential: nn.Sequential = features
    return sequential
