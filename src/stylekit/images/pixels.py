"""Arrays of pixels, their sizes and values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def to_bytes(values: NDArray[np.floating[Any]]) -> Pixels:
    """Round values on the scale from 0 to 255, and take the nearest for those beyond it."""
    rounded = np.rint(values)
    result: Pixels = np.clip(rounded, 0, 255, out=rounded).astype(np.uint8)
    return result


def reduced_size(size: tuple[int, int], max_size: int | None) -> tuple[int, int]:
    """Return the size at which the longer side has at most `max_size` pixels, and the shorter one at least 1."""
    if max_size is None or max(size) <= max_size:
        return size
    scale = max_size / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
