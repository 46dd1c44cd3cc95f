"""Strokes that fit the picture: a network's are of a fixed number of pixels, so large photos are painted reduced."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

_USUAL_SIDE = 1000  # shorter side in px at which a network's strokes look right
_LARGEST_RAW_SIDE = 1400  # up to which a photo is painted as it is
_BAND = 256  # rows at a time


def stroke_scale(stroke_size: float | None, pixels: Pixels) -> float:
    """Return how many times larger than the network's the strokes on a photo are to be.

    Args:
        stroke_size: the wish; None fits them to the photo, as if its shorter side had about 1,000 px.
        pixels: the photo, `(H, W, 3)`.
    """
    if stroke_size is not None:
        return stroke_size
    shorter = min(pixels.shape[:2])
    return 1.0 if shorter < _LARGEST_RAW_SIDE else shorter / _USUAL_SIDE


def reduced(pixels: Pixels, scale: float) -> Pixels:
    """Return a photo `(H, W, 3)` reduced `scale` times, or enlarged where that is below 1."""
    height, width = (max(1, round(side / scale)) for side in pixels.shape[:2])
    return _resized(pixels, width, height)


def restored(painted: Pixels, small: Pixels, pixels: Pixels) -> Pixels:
    """Bring a painted, reduced photo back to full size.

    What painting changed is enlarged and put on the full photo, so that edges finer than the reduced photo could hold
    stay where they are. (Enlarging the painted photo itself blurs them; a guided filter, He et al. 2013, keeps them
    and loses the strokes.)

    Args:
        painted: the reduced photo, painted; `(h, w, 3)`.
        small: the reduced photo, `(h, w, 3)`.
        pixels: the photo, `(H, W, 3)`.
    """
    height, width = pixels.shape[:2]
    result = _resized(painted, width, height)
    smooth = _resized(small, width, height)
    for top in range(0, height, _BAND):
        rows = slice(top, top + _BAND)
        fine = pixels[rows].astype(np.int16) - smooth[rows]
        result[rows] = (result[rows] + fine).clip(0, 255)
    return result


def _resized(pixels: Pixels, width: int, height: int) -> Pixels:
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
