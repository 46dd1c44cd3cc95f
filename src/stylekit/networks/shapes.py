"""Define the shapes of network parameters, and the constraints on image sizes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Shape = tuple[int, ...]

NormStatistics = tuple["NDArray[np.floating[Any]]", "NDArray[np.floating[Any]]"]  # mean and variance of each channel

SIDE_MULTIPLE = 4  # networks that halve height and width twice pad them to multiples of this

TILE_MULTIPLE = 16  # tiles begin at multiples of this, which the side of every network's coarsest cell divides

MIN_SIDE = 8  # pixels; reflection padding inside `johnson` is impossible in smaller images


def convolution_shapes(name: str, inputs: int, outputs: int, kernel: int) -> dict[str, Shape]:
    """Return the shapes of a convolution's parameters by name; `kernel` is its height and width."""
    return {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}


def norm_shapes(name: str, channels: int) -> dict[str, Shape]:
    """Return the shapes of a normalization's parameters by name."""
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def normalized_shapes(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
    """Return the parameter shapes of a 3x3 convolution and the normalization after it."""
    return convolution_shapes(f"{name}.convolution", inputs, outputs, 3) | norm_shapes(f"{name}.norm", outputs)
