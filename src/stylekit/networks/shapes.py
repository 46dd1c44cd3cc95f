"""Shapes of the networks' parameters."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Shape = tuple[int, ...]

Statistics = tuple["NDArray[np.floating[Any]]", "NDArray[np.floating[Any]]"]  # mean and variance of each channel

SIDE_MULTIPLE = 4  # of the pictures that both networks take: they halve twice

LEAST_SIDE = 8  # on which all reflection paddings inside `johnson` are defined


def convolution_shapes(name: str, inputs: int, outputs: int, kernel: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}


def norm_shapes(name: str, channels: int) -> dict[str, Shape]:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}
