"""Shapes of networks' parameters, and the sizes of the images that networks take."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Shape = tuple[int, ...]

NormStatistics = tuple["NDArray[np.floating[Any]]", "NDArray[np.floating[Any]]"]  # mean and variance of each channel

SIDE_MULTIPLE = 4  # of height and width, for networks that halve them twice

TILE_MULTIPLE = 16  # pixels at multiples of which tiles begin: every network's coarsest cell divides it

LEAST_SIDE = 8  # at which all reflection padding inside `johnson` is possible


def convolution_shapes(name: str, inputs: int, outputs: int, kernel: int) -> dict[str, Shape]:
    """Return the shapes of a convolution's parameters by name; `kernel` is its height and width."""
    return {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}


def norm_shapes(name: str, channels: int) -> dict[str, Shape]:
    """Return the shapes of a normalization's parameters by name."""
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def normalized_shapes(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
    """Return the parameter shapes of a 3x3 convolution and the normalization after it."""
    return convolution_shapes(f"{name}.convolution", inputs, outputs, 3) | norm_shapes(f"{name}.norm", outputs)
