"""Strokes that fit the picture: a network's are of a fixed number of pixels, so large photos are painted reduced."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from stylekit.colors import Pixels, to_bytes

_USUAL_SIDE = 1000  # shorter side in px at which a network's strokes look right
_LARGEST_RAW_SIDE = 1400  # up to which a photo is painted as it is
_BAND = 256  # rows at a time
_BLOCK = 4  # side in px of the reduced photo's blocks whose contrast is compared
_NOISE = 5.0  # deviation, of 255, that is no contrast worth keeping


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

    It is enlarged, and what the reduced photo could not hold, the photo's fine edges, is put on it: as strongly as the
    painting kept the photo's contrast around, so that no edge comes back that was painted over, and no grain.
    (Enlarging alone blurs edges; a guided filter, He et al. 2013, keeps them and loses the strokes.)

    Args:
        painted: the reduced photo, painted; `(h, w, 3)`.
        small: the reduced photo, `(h, w, 3)`.
        pixels: the photo, `(H, W, 3)`.
    """
    height, width = pixels.shape[:2]
    result = np.empty_like(pixels)
    widened = [
        Image.fromarray(_resized(picture, width, len(picture)))
        for picture in (painted, small, _kept_contrast(painted, small))
    ]
    for top in range(0, height, _BAND):
        rows = slice(top, min(top + _BAND, height))
        enlarged, smooth, kept = (_rows_of_heightened(picture, height, rows) for picture in widened)
        fine = (pixels[rows] - smooth) * (kept[..., None] / np.float32(255))
        result[rows] = to_bytes(enlarged + fine)
    return result


def _kept_contrast(painted: Pixels, small: Pixels) -> Pixels:
    """How much of the photo's contrast the painting kept around each pixel, from 0 to 255: the regression of one on the
    other, block by block, which is 0 also where there is nothing but noise."""
    after, before = (Image.fromarray(picture).convert("F") for picture in (painted, small))
    values, photo = np.asarray(after), np.asarray(before)
    products, squares = (Image.fromarray(array) for array in (values * photo, photo * photo))
    mean_after, mean_before, mean_product, mean_square = (
        np.asarray(image.reduce(_BLOCK)) for image in (after, before, products, squares)
    )
    variance = mean_square - mean_before**2
    kept = (mean_product - mean_after * mean_before) / (variance + _NOISE**2)
    blocks = Image.fromarray(to_bytes(kept * 255)).filter(ImageFilter.MaxFilter(3))  # an edge reaches into the next
    height, width = small.shape[:2]  # the last blocks may lie partly outside
    return _resized(np.asarray(blocks), blocks.width * _BLOCK, blocks.height * _BLOCK)[:height, :width]


def _rows_of_heightened(image: Image.Image, height: int, rows: slice) -> NDArray[np.float32]:
    """Return some rows of an image that is enlarged to a height."""
    scale = image.height / height
    box = (0, rows.start * scale, image.width, rows.stop * scale)
    resized = image.resize((image.width, rows.stop - rows.start), Image.Resampling.BICUBIC, box)
    return np.asarray(resized, np.float32)


def _resized(pixels: Pixels, width: int, height: int) -> Pixels:
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
