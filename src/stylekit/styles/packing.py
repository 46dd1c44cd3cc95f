"""Store convolution kernels in 8 bits, as an int8 array with a scale for each output channel."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST = 127
_SCALE = "#scale"  # suffix of the name under which a kernel's scales `(C_out,)` are stored


def eight_bit(weights: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return weights with convolution kernels rounded so that `pack` can store them in 8 bits.

    Args:
        weights: Arrays by parameter name.

    Returns:
        float32 arrays with the same names and shapes. Kernels, the arrays with 4 dimensions, change by at most about
        1/254 of the largest value in an output channel; biases and normalizations are unchanged.
    """
    rounded = {}
    for name, array in weights.items():
        if array.ndim == 4:
            scale = _scales(array)[:, None, None, None]
            rounded[name] = (np.round(array / scale) + 0.0).astype(np.float32) * scale  # turns -0 into 0, as int8 does
        else:
            rounded[name] = array.astype(np.float32)
    return rounded


def pack(weights: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return weights in the form in which they are stored: in 8 bits if rounded by `eight_bit`, otherwise unchanged."""
    packed: dict[str, NDArray[Any]] = {}
    for name, array in weights.items():
        if array.ndim == 4 and array.dtype == np.float32 and array.size and np.isfinite(array).all():
            scale = _scales(array)
            steps = np.round(array / scale[:, None, None, None])
            if np.array_equal(steps * scale[:, None, None, None], array):
                packed |= {name: steps.astype(np.int8), name + _SCALE: scale}
                continue
        packed[name] = array
    return packed


def unpack(stored: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the weights that `pack` stored. Arrays that are not in 8 bits are returned unchanged."""
    weights = {}
    for name, array in stored.items():
        if name.endswith(_SCALE) and name.removesuffix(_SCALE) in stored:
            continue
        scale = stored.get(name + _SCALE)
        if scale is None or array.dtype != np.int8 or scale.shape != array.shape[:1]:
            weights[name] = array
        else:
            weights[name] = array.astype(np.float32) * scale.reshape(-1, *[1] * (array.ndim - 1)).astype(np.float32)
    return weights


def _scales(kernels: NDArray[Any]) -> NDArray[np.float32]:
    """Return a scale for each output channel, rounded so that multiples up to 127 are exact in float32."""
    largest = np.abs(kernels.astype(np.float32)).max(axis=(1, 2, 3))
    mantissa, exponent = np.frexp(np.maximum(largest, np.finfo(np.float32).tiny * 2**40) / _LARGEST)
    scale: NDArray[np.float32] = np.ldexp(np.ceil(mantissa * 2**10) / 2**10, exponent).astype(np.float32)
    return scale
