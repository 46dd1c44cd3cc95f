"""How a scene has moved from one frame to the next: coarse, smooth optical flow in NumPy.

The method of Lucas and Kanade (1981) is applied from coarse to fine, with one shift per cell. A cell without contrast
follows its neighbors, and every cell follows the whole image a little, so that a panned sky moves with the shore.
Objects that move on their own and are smaller than a cell are not tracked: the caller must compare the results.
"""

import numpy as np
from PIL import Image

from stylekit.images.pixels import Floats, Pixels

_CELL = 8  # px
_COARSEST = 24  # px, shorter side at the coarsest scale
_ITERATIONS = 3  # per scale
_GLOBAL_SHARE = 0.05  # weight of the whole image's equations in each cell's equations
_DAMPING = 1.0  # squared contrast, of values up to 255, that counts as none
_STILL = 0.05  # px; warping by less would only blur


def estimate_flow(before: Pixels, after: Pixels) -> Floats:
    """Estimate how the content of an image has moved since an earlier image.

    Args:
        before: The earlier image, `(H, W, 3)` RGB; a few hundred pixels per side are enough.
        after: The later image, `(H, W, 3)` RGB.

    Returns:
        Shifts `(rows, columns, 2)`, one for each cell of a grid: the offset, to the right and down, from the cell's
        center in `after` to the same content in `before`, as a share of width and height. It is zero where nothing has
        moved, and in images that are too small.
    """
    if min(after.shape[:2]) < 2 * _CELL:
        return np.zeros((1, 1, 2), np.float32)
    scales = max(1, int(np.log2(min(after.shape[:2]) / _COARSEST)) + 1)
    shifts = np.zeros((1, 1, 2), np.float32)
    for old, new in zip(_pyramid(before, scales), _pyramid(after, scales), strict=True):
        height, width = new.shape
        sides = np.array([width, height], np.float32)
        shifts = _resized(shifts, max(1, height // _CELL), max(1, width // _CELL)) * sides
        for _ in range(_ITERATIONS):
            shifts += _refinement(old, new, shifts)
        shifts[np.hypot(*shifts.T).T < _STILL] = 0
        shifts /= sides
    return shifts


def _pyramid(image: Pixels, scales: int) -> list[Floats]:
    """Return an image in gray at several scales, each twice as large as the previous one."""
    gray = Image.fromarray(image).convert("L")
    return [np.asarray(gray.reduce(2**scale) if scale else gray, np.float32) for scale in reversed(range(scales))]


def _refinement(old: Floats, new: Floats, shifts: Floats) -> Floats:
    """Return a correction to the shifts, in pixels, that makes the old image match the new one better."""
    rows, columns = shifts.shape[:2]
    shifted = _sampled(old, _resized(shifts, *old.shape))
    down, right = np.gradient((shifted + new) / 2)
    error = new - shifted
    products = np.stack([right * right, right * down, down * down, right * error, down * error], axis=-1)
    local = _smoothed(_resized(products, rows, columns, Image.Resampling.BOX))
    xx, xy, yy, xe, ye = np.moveaxis(local + _GLOBAL_SHARE * local.mean(axis=(0, 1)), -1, 0)
    xx, yy = xx + _DAMPING, yy + _DAMPING
    determinant = xx * yy - xy * xy
    step = np.stack([yy * xe - xy * ye, xx * ye - xy * xe], axis=-1) / determinant[..., None]
    result: Floats = step.clip(-2, 2)
    return result


def _resized(layers: Floats, rows: int, columns: int, method: Image.Resampling = Image.Resampling.BILINEAR) -> Floats:
    planes = (
        Image.fromarray(np.ascontiguousarray(layer)).resize((columns, rows), method)
        for layer in np.moveaxis(layers, -1, 0)
    )
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def _smoothed(cells: Floats) -> Floats:
    """Return the weighted mean of each cell and its eight neighbors."""
    padded = np.pad(cells, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    result: Floats = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / np.float32(16)
    return result


def _sampled(image: Floats, shifts: Floats) -> Floats:
    """Sample an image at the positions that the shifts point to, by bilinear interpolation."""
    height, width = image.shape
    xs = (np.arange(width, dtype=np.float32) + shifts[..., 0]).clip(0, width - 1.001)
    ys = (np.arange(height, dtype=np.float32)[:, None] + shifts[..., 1]).clip(0, height - 1.001)
    left, top = xs.astype(np.int32), ys.astype(np.int32)
    right, down = xs - left, ys - top
    flat, place = image.ravel(), top * width + left
    upper = flat[place] * (1 - right) + flat[place + 1] * right
    lower = flat[place + width] * (1 - right) + flat[place + width + 1] * right
    result: Floats = upper * (1 - down) + lower * down
    return result


def warp(image: Pixels, shifts: Floats) -> Pixels:
    """Return an image as it looks after the scene has moved.

    Args:
        image: `(H, W, 3)` RGB.
        shifts: The shifts, as `estimate_flow` returns them.
    """
    if not shifts.any():
        return image
    height, width = image.shape[:2]
    rows, columns = shifts.shape[:2]
    xs, ys = (np.linspace(0, side, cells + 1).round() for side, cells in ((width, columns), (height, rows)))
    corners = np.stack(np.meshgrid(xs, ys), axis=-1) + _at_corners(shifts) * np.array([width, height])
    quads = np.concatenate([corners[:-1, :-1], corners[1:, :-1], corners[1:, 1:], corners[:-1, 1:]], axis=-1)
    mesh = [
        ((int(xs[column]), int(ys[row]), int(xs[column + 1]), int(ys[row + 1])), tuple(quads[row, column].tolist()))
        for row in range(rows)
        for column in range(columns)
    ]
    old = Image.fromarray(image)
    return np.asarray(old.transform(old.size, Image.Transform.MESH, mesh, Image.Resampling.BICUBIC))


def _at_corners(cells: Floats) -> Floats:
    """Return, for each corner of the grid, the mean of the cells that meet there."""
    padded = np.pad(cells, ((1, 1), (1, 1), (0, 0)), mode="edge")
    result: Floats = (padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]) / np.float32(4)
    return result
