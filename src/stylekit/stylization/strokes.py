"""Strokes that fit the picture: a network's are of a fixed number of pixels, so large photos are painted reduced."""

from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from stylekit.images.pixels import Pixels, to_bytes

_USUAL_SIDE = 1000  # shorter side in px at which a network's strokes look right
_LARGEST_RAW_SIDE = 1400  # up to which a photo is painted as it is
_BAND = 256  # rows at a time; a multiple of _BLOCK
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
    result = np.empty_like(pixels)
    kept = _kept_contrast(painted, small)
    for top in range(0, len(pixels), _BAND):
        rows = slice(top, min(top + _BAND, len(pixels)))
        enlarged, smooth, share = (_rows_of_enlarged(picture, pixels.shape, rows) for picture in (painted, small, kept))
        fine = (pixels[rows] - smooth) * (share[..., None] / np.float32(255))
        result[rows] = to_bytes(enlarged + fine)
    return result


def _kept_contrast(painted: Pixels, small: Pixels) -> Pixels:
    """How much of the photo's contrast the painting kept around each pixel, from 0 to 255: the regression of one on the
    other, block by block, which is 0 also where there is nothing but noise."""
    bands = (slice(top, top + _BAND) for top in range(0, len(small), _BAND))
    blocks = Image.fromarray(np.concatenate([_kept_by_blocks(painted[rows], small[rows]) for rows in bands]))
    blocks = blocks.filter(ImageFilter.MaxFilter(3))  # an edge reaches into the next
    height, width = small.shape[:2]  # the last blocks may lie partly outside
    return _resized(np.asarray(blocks), blocks.width * _BLOCK, blocks.height * _BLOCK)[:height, :width]


def _kept_by_blocks(painted: Pixels, small: Pixels) -> Pixels:
    after, before = (Image.fromarray(picture).convert("F") for picture in (painted, small))
    values, photo = np.asarray(after), np.asarray(before)
    products, squares = (Image.fromarray(array) for array in (values * photo, photo * photo))
    mean_after, mean_before, mean_product, mean_square = (
        np.asarray(image.reduce(_BLOCK)) for image in (after, before, products, squares)
    )
    variance = mean_square - mean_before**2
    kept = (mean_product - mean_after * mean_before) / (variance + _NOISE**2)
    return to_bytes(kept * 255)


def _rows_of_enlarged(picture: Pixels, shape: tuple[int, ...], rows: slice) -> NDArray[np.float32]:
    """Return some rows of a picture that is enlarged, or reduced, to a height and width."""
    height, width = shape[:2]
    scale = len(picture) / height
    reach = ceil(2 * max(scale, 1)) + 1  # of bicubic interpolation
    first = max(0, int(rows.start * scale) - reach)
    seen = picture[first : ceil(rows.stop * scale) + reach]
    box = (0, rows.start * scale - first, picture.shape[1], min(rows.stop * scale - first, len(seen)))
    resized = Image.fromarray(seen).resize((width, rows.stop - rows.start), Image.Resampling.BICUBIC, box)
    return np.asarray(resized, np.float32)


def _resized(pixels: Pixels, width: int, height: int) -> Pixels:
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
