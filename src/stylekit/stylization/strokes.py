"""Stroke size: a network paints strokes of a fixed size in pixels, so large photos are stylized at a reduced size."""

from math import ceil

import numpy as np
from PIL import Image, ImageFilter

from stylekit.images.pixels import Floats, Pixels, round_to_bytes

_USUAL_SIDE = 1000  # shorter side in pixels at which a network's strokes look right
_LARGEST_RAW_SIDE = 1400  # shorter side in pixels up to which a photo is not reduced
_BAND = 256  # rows at a time, to save memory; a multiple of _BLOCK
_BLOCK = 4  # side in pixels of the reduced photo's blocks whose contrast is compared
_NOISE = 5.0  # standard deviation, on the scale of 0 to 255, below which contrast counts as noise


def stroke_scale(stroke_size: float | None, width: int, height: int) -> float:
    """Return the factor by which to enlarge the strokes that a network paints on a photo.

    Args:
        stroke_size: The factor that the user asked for. None fits the strokes to the photo: they look as on a photo
            whose shorter side has about 1,000 pixels.
        width: The photo's width in pixels.
        height: The photo's height in pixels.
    """
    if stroke_size is not None:
        return stroke_size
    shorter = min(width, height)
    return 1.0 if shorter < _LARGEST_RAW_SIDE else shorter / _USUAL_SIDE


def reduced(pixels: Pixels, scale: float) -> Pixels:
    """Return a photo `(H, W, 3)` with both sides divided by `scale`; a scale below 1 enlarges the photo."""
    height, width = (max(1, round(side / scale)) for side in pixels.shape[:2])
    return _resized(pixels, width, height)


def restored(painted: Pixels, small: Pixels, pixels: Pixels) -> Pixels:
    """Bring a reduced, stylized photo back to full size.

    Enlarging alone blurs edges, and a guided filter (He et al. 2013) keeps edges but loses strokes. So the photo's fine
    detail, which the reduced photo could not hold, is added to the enlarged image, weighted by how much of the local
    contrast the painting kept. This brings back neither grain nor edges that were painted over.

    Args:
        painted: The reduced photo after stylization, `(h, w, 3)`.
        small: The reduced photo, `(h, w, 3)`.
        pixels: The photo, `(H, W, 3)`.

    Returns:
        The stylized photo, `(H, W, 3)`.
    """
    result = np.empty_like(pixels)
    kept = _kept_contrast(painted, small)
    for top in range(0, len(pixels), _BAND):
        rows = slice(top, min(top + _BAND, len(pixels)))
        enlarged, smooth, share = (_enlarged_rows(image, pixels.shape, rows) for image in (painted, small, kept))
        fine = (pixels[rows] - smooth) * (share[..., None] / np.float32(255))
        result[rows] = round_to_bytes(enlarged + fine)
    return result


def _kept_contrast(painted: Pixels, small: Pixels) -> Pixels:
    """Return how much of the photo's contrast the painting kept around each pixel, 0 to 255."""
    bands = (slice(top, top + _BAND) for top in range(0, len(small), _BAND))
    blocks = Image.fromarray(np.concatenate([_kept_by_blocks(painted[rows], small[rows]) for rows in bands]))
    blocks = blocks.filter(ImageFilter.MaxFilter(3))  # an edge's detail extends into the next block
    height, width = small.shape[:2]  # the last blocks may extend beyond the image
    return _resized(np.asarray(blocks), blocks.width * _BLOCK, blocks.height * _BLOCK)[:height, :width]


def _kept_by_blocks(painted: Pixels, small: Pixels) -> Pixels:
    """Return the slope of the regression of painted on original gray values in each block; 255 stands for a slope of 1.

    The noise variance in the denominator brings the slope to 0 in blocks without contrast.
    """
    after, before = (Image.fromarray(image).convert("F") for image in (painted, small))
    values, photo = np.asarray(after), np.asarray(before)
    products, squares = (Image.fromarray(array) for array in (values * photo, photo * photo))
    mean_after, mean_before, mean_product, mean_square = (
        np.asarray(image.reduce(_BLOCK)) for image in (after, before, products, squares)
    )
    variance = mean_square - mean_before**2
    kept = (mean_product - mean_after * mean_before) / (variance + _NOISE**2)
    return round_to_bytes(kept * 255)


def _enlarged_rows(image: Pixels, shape: tuple[int, ...], rows: slice) -> Floats:
    """Return some rows of an image resized to the height and width of `shape`."""
    height, width = shape[:2]
    scale = len(image) / height
    radius = ceil(2 * max(scale, 1)) + 1  # of bicubic interpolation
    first = max(0, int(rows.start * scale) - radius)
    source = image[first : ceil(rows.stop * scale) + radius]
    box = (0, rows.start * scale - first, image.shape[1], min(rows.stop * scale - first, len(source)))
    resized = Image.fromarray(source).resize((width, rows.stop - rows.start), Image.Resampling.BICUBIC, box)
    return np.asarray(resized, np.float32)


def _resized(pixels: Pixels, width: int, height: int) -> Pixels:
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
