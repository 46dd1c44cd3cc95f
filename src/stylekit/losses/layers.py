"""The loss networks' layers: their names, shapes and defaults, without torch."""

from collections.abc import Collection
from dataclasses import dataclass

from stylekit.errors import ConfigError, LossWeightsError
from stylekit.networks.shapes import Shape, convolution_shapes

# torchvision's configuration "E": channels of the convolutions in each block.
_VGG19_BLOCKS = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)

_GATYS_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
_GATYS_CONTENT_LAYER = "relu4_2"


@dataclass(frozen=True)
class VggConvolution:
    """A convolution of VGG-19.

    Attributes:
        index: The convolution's index in torchvision's `features`.
        inputs: The number of input channels.
        outputs: The number of output channels.
    """

    index: int
    inputs: int
    outputs: int

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shapes of weight and bias by torchvision's names."""
        return convolution_shapes(f"features.{self.index}", self.inputs, self.outputs, 3)


def _vgg19_layers() -> dict[str, VggConvolution]:
    layers, index, inputs = {}, 0, 3
    for block, widths in enumerate(_VGG19_BLOCKS, start=1):
        for number, outputs in enumerate(widths, start=1):
            layers[f"relu{block}_{number}"] = VggConvolution(index, inputs, outputs)
            index, inputs = index + 2, outputs
        index += 1  # the pooling between blocks
    return layers


# `relu1_1` to `relu5_4`, from low to high, with the convolution before each.
VGG19_LAYERS: dict[str, VggConvolution] = _vgg19_layers()

# The number of channels of the compact loss network's convolutions, by the layer of VGG-19 that each approximates.
COMPACT_WIDTHS = {
    "relu1_1": 24,
    "relu1_2": 24,
    "relu2_1": 72,
    "relu2_2": 56,
    "relu3_1": 144,
    "relu3_2": 112,
    "relu3_3": 144,
    "relu3_4": 120,
    "relu4_1": 256,
}

# Layers followed by max pooling. VGG-19 pools after relu3_4 instead of relu3_3, which takes more computation.
COMPACT_POOLED = ("relu1_2", "relu2_2", "relu3_3")

COMPACT_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu3_3", "relu4_1")  # usable in losses

# The loss networks' layers, from low to high.
LOSS_NETWORKS: dict[str, tuple[str, ...]] = {"vgg19": tuple(VGG19_LAYERS), "compact": COMPACT_LAYERS}


def compact_shapes() -> dict[str, Shape]:
    """Return the shapes of the compact loss network's parameters by name."""
    shapes: dict[str, Shape] = {}
    inputs = 3
    for layer, width in COMPACT_WIDTHS.items():
        shapes |= convolution_shapes(f"features.{layer}", inputs, width, 3)
        if layer in COMPACT_LAYERS:
            shapes[f"maps.{layer}"] = (width, width)
        inputs = width
    return shapes


def check_loss_layers(layers: Collection[str], network: str = "vgg19") -> None:
    """Check that a loss network exists and has these layers.

    Raises:
        ConfigError: If the network is unknown, or lacks a layer; the message gives the first missing layer.
    """
    if network not in LOSS_NETWORKS:
        raise ConfigError(f"Unknown loss network {network!r}.", f"Available: {', '.join(LOSS_NETWORKS)}.")
    for layer in layers:
        if layer not in LOSS_NETWORKS[network]:
            raise ConfigError(
                f"The loss network {network} has no layer {layer!r}.",
                f"Available: {', '.join(LOSS_NETWORKS[network])}.",
            )


def highest_layer(weights: Collection[str]) -> str:
    """Return the highest layer of VGG-19 that weights with these names can compute.

    Raises:
        LossWeightsError: If they lack the first convolution.
    """
    highest = ""
    for layer, convolution in VGG19_LAYERS.items():
        if not all(name in weights for name in convolution.shapes):
            break
        highest = layer
    if not highest:
        raise LossWeightsError(
            "Not VGG-19 weights: features.0.weight is missing.",
            "Use torchvision's vgg19 file, or its convolutions as safetensors.",
        )
    return highest


def check_weights_reach(weights: Collection[str], layers: Collection[str]) -> None:
    """Check that weights with these names suffice to compute layers of VGG-19.

    Raises:
        LossWeightsError: If the weights end before the highest of the layers.
    """
    order = list(VGG19_LAYERS)
    highest = highest_layer(weights)
    needed = max(layers, key=order.index, default=highest)
    if order.index(needed) > order.index(highest):
        raise LossWeightsError(
            f"The loss weights end at {highest}, but {needed} is needed.",
            f"Choose layers up to {highest}, or weights with all of VGG-19's convolutions.",
        )


def default_style_layers(highest: str) -> dict[str, float]:
    """Return the style layers of Gatys et al. 2015 up to `highest`, each with weight 1."""
    order = list(VGG19_LAYERS)
    return {layer: 1.0 for layer in _GATYS_STYLE_LAYERS if order.index(layer) <= order.index(highest)}


def default_content_layers(highest: str) -> tuple[str]:
    """Return the content layer of Gatys et al. 2015, or `highest` if that is lower."""
    order = list(VGG19_LAYERS)
    return (min(_GATYS_CONTENT_LAYER, highest, key=order.index),)


def training_content_layers(highest: str) -> tuple[str, ...]:
    """Return the content layers for training.

    They are relu3_3, which preserves edges and fine structure, and the layer of Gatys et al. 2015.

    Args:
        highest: The highest layer that the loss network has; higher layers are left out.
    """
    order = list(VGG19_LAYERS)
    (top,) = default_content_layers(highest)
    return ("relu3_3", top) if order.index(top) > order.index("relu3_3") else (top,)
