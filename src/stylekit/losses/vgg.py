"""VGG-19 (Simonyan and Zisserman 2014) as a loss network: a source of named activations."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from stylekit.errors import LossWeightsError
from stylekit.losses.layers import VGG19_LAYERS, check_loss_layers, check_weights_reach

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class VggFeatures(nn.Module):
    """Named activations of VGG-19, computed up to the highest of the chosen layers.

    Unlike in torchvision's network, the first convolution pads by repeating the image's edge instead of with zeros.
    After normalization, zero is a medium gray, so padding with it would put an edge around every image, and the losses
    would change the image's borders accordingly.

    Args:
        layers: Names from `relu1_1` to `relu5_4`.
        weights: VGG-19's convolutions by torchvision's names (`features.0.weight` …), up to the highest of the layers.
        pooling: `max` as trained, or `avg` as Gatys et al. 2015 preferred.

    Attributes:
        maps: Empty, because activations are compared directly; see `CompactFeatures`.

    Raises:
        ConfigError: If VGG-19 lacks a layer.
        LossWeightsError: If the weights end before the highest of the layers, or have wrong shapes.
    """

    mean: Tensor
    deviation: Tensor
    maps: Mapping[str, Tensor] = MappingProxyType({})

    def __init__(self, layers: Collection[str], weights: Mapping[str, Tensor], pooling: str = "max") -> None:
        super().__init__()
        check_loss_layers(layers)
        check_weights_reach(weights, layers)
        self.layers = sorted(layers, key=list(VGG19_LAYERS).index)
        self.features = _vgg19_modules(VGG19_LAYERS[self.layers[-1]].index + 2, pooling)
        self._load(weights)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def _load(self, weights: Mapping[str, Tensor]) -> None:
        names = [f"features.{name}" for name in self.features.state_dict()]
        for convolution in VGG19_LAYERS.values():
            for name, shape in convolution.shapes.items():
                if name in names and tuple(weights[name].shape) != shape:
                    raise LossWeightsError(
                        f"{name} in the loss weights has shape {tuple(weights[name].shape)}, not {shape}."
                    )
        state = {name.removeprefix("features."): weights[name].float() for name in names}
        self.features.load_state_dict(state, assign=True)

    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        """Compute activations.

        Args:
            image: `(B, 3, H, W)`, RGB in [0, 1].
            layers: The layers to return, a subset of those chosen at construction; all of them by default.

        Returns:
            Activations `(B, C, H / 2^k, W / 2^k)` by layer.
        """
        wanted = {VGG19_LAYERS[layer].index + 1: layer for layer in (layers or self.layers)}
        x, activations = (image - self.mean) / self.deviation, {}
        for index, module in enumerate(self.features[: max(wanted) + 1]):
            x = module(x)
            if index in wanted:
                activations[wanted[index]] = x
        return activations


def _vgg19_modules(depth: int, pooling: str) -> nn.Sequential:
    """Return the first `depth` modules of torchvision's VGG-19, without allocating memory for weights."""
    from torchvision.models import vgg19  # takes seconds to import

    with torch.device("meta"):
        features = vgg19(weights=None, init_weights=False).features[:depth]
    features[0].padding_mode = "replicate"
    for index, module in enumerate(features):
        if isinstance(module, nn.MaxPool2d) and pooling == "avg":
            features[index] = nn.AvgPool2d(2)
    sequential: nn.Sequential = features
    return sequential
