"""What networks look like from outside, without torch: settings, parameter names and shapes, VGG-19's layers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stylekit.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Shape = tuple[int, ...]
Statistics = tuple["NDArray[np.floating[Any]]", "NDArray[np.floating[Any]]"]  # mean and variance of each channel

NETWORK_DEFAULTS: dict[str, dict[str, int]] = {
    "fast": {"channels": 64, "blocks": 3, "half_channels": 32, "full_channels": 16},
    "johnson": {},
}
_LARGEST_SETTING = 1024

SIDE_MULTIPLE = 4  # of the pictures that both networks take: they halve twice
LEAST_SIDE = 8  # on which all reflection paddings inside `johnson` are defined
FAST_BORDER_REST = 3  # pixels of `fast_border` that are left at the end, and cut off
FAST_VARIANCE_FLOOR = 1e-3
JOHNSON_VARIANCE_FLOOR = 1e-5  # torch's own, which the published weights know

# The filter by which `fast` doubles. With H(w) the sum of h[k] cos((k + 1/2) w) over both halves, in units of the
# doubled grid: H(0) = 2, so that a flat area stays flat; H'(pi) = 0 (H(pi) is by symmetry), so that neither it nor a
# slope gets the period 2 of the grid; H(pi/2) = 0, so that what alternates from cell to cell vanishes; and, by least
# squares, as near to 2 below 0.3 pi and to 0 above 0.5 pi as ten taps come: H is within 8 % of 2 up to 0.25 pi and 1.57
# at 0.3 pi, and what is to vanish is at most 6 %. A step overshoots by 12 %.
_HALF_OF_TAPS = (0.6975, 0.4197, 0.0803, -0.1211, -0.0764)
DOUBLING_TAPS = (*reversed(_HALF_OF_TAPS), *_HALF_OF_TAPS)

# torchvision's configuration "E": channels of the convolutions of each block.
_VGG19_BLOCKS = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)


def complete_config(network: str, config: Mapping[str, Any]) -> dict[str, int]:
    """Return a network's settings with defaults filled in.

    Raises:
        ConfigError: if the network, or one of the settings, is unknown or out of range.
    """
    if network not in NETWORK_DEFAULTS:
        raise ConfigError(f"Unknown network {network!r}.", f"There are: {', '.join(NETWORK_DEFAULTS)}.")
    defaults = NETWORK_DEFAULTS[network]
    for key, value in config.items():
        if key not in defaults:
            raise ConfigError(f"The network {network!r} has no setting {key!r}.")
        if type(value) is not int or not 1 <= value <= _LARGEST_SETTING:
            raise ConfigError(f"The network setting {key} must be a whole number from 1 to {_LARGEST_SETTING}.")
    return {**defaults, **config}


def parameter_shapes(network: str, config: Mapping[str, Any]) -> dict[str, Shape]:
    """Return the shape of each of a network's parameters by name.

    Raises:
        ConfigError: as `complete_config`.
    """
    complete = complete_config(network, config)
    return _johnson_shapes() if network == "johnson" else _fast_shapes(**complete)


def norm_names(network: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a network's normalisations in the order in which they run.

    Raises:
        ConfigError: as `complete_config`.
    """
    shapes = parameter_shapes(network, config)
    return tuple(
        name.removesuffix(".weight") for name, shape in shapes.items() if name.endswith(".weight") and len(shape) == 1
    )


def fast_border(blocks: int) -> int:
    """Return how many pixels of border `fast`'s convolutions eat and `FAST_BORDER_REST`, together a multiple of 4.

    They pad nothing: on each side a 3x3 convolution takes a cell, and a doubling what its filter reaches beyond two.
    """
    doubling = len(DOUBLING_TAPS) // 2 - 1
    quarter, half, full = 1 + 2 * blocks + 1, doubling + 1 + 1, doubling + 1
    return 4 * quarter + 2 * half + full + FAST_BORDER_REST


def receptive_reach(network: str, config: Mapping[str, Any]) -> int:
    """Return how far away, in pixels, the pixels lie on which a result's pixel depends, but for normalisations.

    A multiple of `SIDE_MULTIPLE`, rounded up.

    Raises:
        ConfigError: as `complete_config`.
    """
    complete = complete_config(network, config)
    if network == "johnson":
        quarter, half, full = 5 * 2, 1 + 1, 4 + 1 + 1 + 4  # cells that 3x3 and 9x9 kernels reach at each resolution
        reach = 4 * quarter + 2 * half + full
    else:
        reach = fast_border(complete["blocks"]) - FAST_BORDER_REST
    return -(-(reach + SIDE_MULTIPLE - 1) // SIDE_MULTIPLE) * SIDE_MULTIPLE  # a pixel may lie anywhere in its cell


def working_bytes(network: str, config: Mapping[str, Any]) -> int:
    """Return about how many bytes of memory a network takes for each pixel while it runs, in float32.

    Raises:
        ConfigError: as `complete_config`.
    """
    complete = complete_config(network, config)
    if network == "johnson":
        return 500  # measured on a CPU: 370 to 460, in four tensors of 32 channels; a GPU holds twice as many, halved
    # Measured: 180 to 215. Six copies of the photo or the result, the last features twice, the body's once.
    return 6 * 3 * 4 + 2 * 4 * complete["full_channels"] + 4 * complete["channels"] // 16


def _convolution(name: str, inputs: int, outputs: int, kernel: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}


def _norm(name: str, channels: int) -> dict[str, Shape]:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def _johnson_shapes() -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for i, (inputs, outputs, kernel) in enumerate([(3, 32, 9), (32, 64, 3), (64, 128, 3)], start=1):
        shapes |= _convolution(f"conv{i}.conv2d", inputs, outputs, kernel) | _norm(f"in{i}", outputs)
    for i in range(1, 6):
        for j in (1, 2):
            shapes |= _convolution(f"res{i}.conv{j}.conv2d", 128, 128, 3) | _norm(f"res{i}.in{j}", 128)
    for i, (inputs, outputs) in enumerate([(128, 64), (64, 32)], start=1):
        shapes |= _convolution(f"deconv{i}.conv2d", inputs, outputs, 3) | _norm(f"in{i + 3}", outputs)
    return shapes | _convolution("deconv3.conv2d", 32, 3, 9)


def _fast_shapes(channels: int, blocks: int, half_channels: int, full_channels: int) -> dict[str, Shape]:
    def normed(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
        return _convolution(f"{name}.convolution", inputs, outputs, 3) | _norm(f"{name}.norm", outputs)

    shapes = normed("stem", 3 * 4 * 4, channels)
    for i in range(blocks):
        shapes |= normed(f"blocks.{i}.first", channels, channels)
        shapes |= _convolution(f"blocks.{i}.second", channels, channels, 3)
    head = {"to_half": (channels, half_channels), "at_half": (half_channels, half_channels)}
    head |= {"to_full": (half_channels, full_channels), "out": (full_channels, 3)}
    for name, (inputs, outputs) in head.items():
        shapes |= _convolution(name, inputs, outputs, 3)
    return shapes


@dataclass(frozen=True)
class VggConvolution:
    """A convolution of VGG-19: its index in torchvision's `features`, and its channels."""

    index: int
    inputs: int
    outputs: int

    @property
    def shapes(self) -> dict[str, Shape]:
        """Shapes of weight and bias under torchvision's names."""
        return _convolution(f"features.{self.index}", self.inputs, self.outputs, 3)


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
        shapes |= _convolution(f"features.{layer}", inputs, width, 3)
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
