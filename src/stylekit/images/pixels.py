"""Pixel arrays: conversion of their values, and their sizes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


def to_floats(pixels: Pixels) -> Floats:
    """Return bytes, 0 to 255, as floats in [0, 1]."""
    return np.divide(pixels, 255, dtype=np.float32)


def to_bytes(image: Floats) -> Pixels:
    """Return an image `(H, W, C)` of floats in [0, 1] as bytes; values outside the range are clipped."""
    result = np.empty(image.shape, np.uint8)
    for channel in range(image.shape[-1]):  # three times as fast as all at once, as a network's channels are separate
        result[..., channel] = round_to_bytes(image[..., channel] * np.float32(255))
    return result


def round_to_bytes(values: NDArray[np.floating[Any]]) -> Pixels:
    """Round floats from 0 to 255 to bytes; values outside the range are clipped."""
    rounded = np.rint(values)
    result: Pixels = np.clip(rounded, 0, 255, out=rounded).astype(np.uint8)
    return result


def reduced_size(size: tuple[int, int], max_size: int | None) -> tuple[int, int]:
    """Return a size with the same aspect ratio whose longer side is at most `max_size` pixels.

    Args:
        size: Width and height.
        max_size: The limit; None keeps the size.
    """
    if max_size is None or max(size) <= max_size:
        return size
    scale = max_size / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
