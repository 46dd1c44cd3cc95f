"""The loss networks' layers, by name and shape, without torch."""

from collections.abc import Collection
from dataclasses import dataclass

from stylekit.errors import ConfigError, LossWeightsError
from stylekit.networks.shapes import Shape, convolution_shapes

# torchvision's configuration "E": channels of the convolutions of each block.
_VGG19_BLOCKS = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)


@dataclass(frozen=True)
class VggConvolution:
    """A convolution of VGG-19: its index in torchvision's `features`, and its channels."""

    index: int
    inputs: int
    outputs: int

    @property
    def shapes(self) -> dict[str, Shape]:
        """Shapes of weight and bias under torchvision's names."""
        return convolution_shapes(f"features.{self.index}", self.inputs, self.outputs, 3)


def _vgg19_layers() -> dict[str, VggConvolution]:
    layers, index, inputs = {}, 0, 3
    for block, widths in enumerate(_VGG19_BLOCKS, start=1):
        for number, outputs in enumerate(widths, start=1):
            layers[f"relu{block}_{number}"] = VggConvolution(index, inputs, outputs)
            index, inputs = index + 2, outputs
        index += 1  # the pooling between blocks
    return layers


# `relu1_1` … `relu5_4`, from low to high, with the convolution before each.
VGG19_LAYERS: dict[str, VggConvolution] = _vgg19_layers()

# The compact loss network's convolutions, by the layers of VGG-19 that they stand for, with their channels.
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

COMPACT_POOLED = ("relu1_2", "relu2_2", "relu3_3")  # maxima follow: in VGG-19 after relu3_4, at four times the work

COMPACT_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu3_3", "relu4_1")  # those that losses may ask for

# Loss networks with their layers, from low to high.
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
    """Make sure that a loss network has these layers.

    Raises:
        ConfigError: if there is no such network, or naming the first layer that it has not.
    """
    if network not in LOSS_NETWORKS:
        raise ConfigError(f"Unknown loss network {network!r}.", f"Use {' or '.join(LOSS_NETWORKS)}.")
    for layer in layers:
        if layer not in LOSS_NETWORKS[network]:
            raise ConfigError(
                f"The loss network {network} has no layer {layer!r}.",
                f"Its layers are {', '.join(LOSS_NETWORKS[network])}.",
            )


_GATYS_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

_GATYS_CONTENT_LAYER = "relu4_2"


def highest_layer(weights: Collection[str]) -> str:
    """Name the highest of VGG-19's layers that weights with these keys can compute.

    Raises:
        LossWeightsError: if not even the first convolution is there.
    """
    highest = ""
    for layer, convolution in VGG19_LAYERS.items():
        if not all(name in weights for name in convolution.shapes):
            break
        highest = layer
    if not highest:
        raise LossWeightsError(
            "These are not VGG-19's weights: features.0.weight is missing.",
            "Torchvision's vgg19 file, or its convolutions as safetensors, is what is needed.",
        )
    return highest


def default_style_layers(reach: str) -> dict[str, float]:
    """Return the style layers of Gatys et al. 2015 up to this layer, all with weight 1."""
    order = list(VGG19_LAYERS)
    return {layer: 1.0 for layer in _GATYS_STYLE_LAYERS if order.index(layer) <= order.index(reach)}


def default_content_layers(reach: str) -> tuple[str]:
    """Return the content layer of Gatys et al. 2015, or this one where it is lower."""
    order = list(VGG19_LAYERS)
    return (min(_GATYS_CONTENT_LAYER, reach, key=order.index),)
