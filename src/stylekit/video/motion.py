"""How a scene has moved from one picture to the next: optical flow, coarse and smooth, without a library for it.

The method is that of Lucas and Kanade (1981) from coarse to fine, one shift a cell. A cell without contrast follows
its neighbours, and all of them a little the whole picture, so that a panned sky moves with the shore. What moves by
itself and is smaller than a cell is not followed; whoever uses the flow must compare.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylekit.images.pixels import Pixels

Floats = NDArray[np.float32]

_CELL = 8  # px
_COARSEST = 24  # px of the shorter side, at the coarsest scale
_ROUNDS = 3  # a scale
_TIE = 0.05  # share of the whole picture's equations in each cell's
_DAMPING = 1.0  # squared contrast, of 255, that is none
_STILL = 0.05  # px; less is no motion, and would only blur


def flow(before: Pixels, after: Pixels) -> Floats:
    """Tell where in one picture that lies which another one shows.

    Args:
        before: `(H, W, 3)` RGB values; a few hundred pixels a side are enough.
        after: likewise.

    Returns:
        `(rows, columns, 2)`: for each cell of a grid over the picture, how far to the right and how far down, as shares
        of its width and height, `before` has what `after` has in the middle of the cell; zero where nothing has moved,
        and in pictures too small to tell.
    """
    if min(after.shape[:2]) < 2 * _CELL:
        return np.zeros((1, 1, 2), np.float32)
    scales = max(1, int(np.log2(min(after.shape[:2]) / _COARSEST)) + 1)
    pictures = zip(_pyramid(before, scales), _pyramid(after, scales), strict=True)
    shifts = np.zeros((1, 1, 2), np.float32)
    for old, new in pictures:
        height, width = new.shape
        sides = np.array([width, height], np.float32)
        shifts = _resized(shifts, max(1, height // _CELL), max(1, width // _CELL)) * sides
        for _ in range(_ROUNDS):
            shifts += _refinement(old, new, shifts)
        shifts[np.hypot(*shifts.T).T < _STILL] = 0
        shifts /= sides
    return shifts


def _pyramid(picture: Pixels, scales: int) -> list[Floats]:
    """Return a picture in grey at so many scales, each twice as large as the one before."""
    grey = Image.fromarray(picture).convert("L")
    return [np.asarray(grey.reduce(2**scale) if scale else grey, np.float32) for scale in reversed(range(scales))]


def _refinement(old: Floats, new: Floats, shifts: Floats) -> Floats:
    """Return what is to be added to the shifts, in pixels, for the old picture to look more like the new one."""
    rows, columns = shifts.shape[:2]
    shifted = _sampled(old, _resized(shifts, *old.shape))
    down, right = np.gradient((shifted + new) / 2)
    error = new - shifted
    products = np.stack([right * right, right * down, down * down, right * error, down * error], axis=-1)
    local = _smoothed(_resized(products, rows, columns, Image.Resampling.BOX))
    xx, xy, yy, xe, ye = np.moveaxis(local + _TIE * local.mean(axis=(0, 1)), -1, 0)
    xx, yy = xx + _DAMPING, yy + _DAMPING
    determinant = xx * yy - xy * xy
    step = np.stack([yy * xe - xy * ye, xx * ye - xy * xe], axis=-1) / determinant[..., None]
    result: Floats = step.clip(-2, 2)
    return result


def _resized(layers: Floats, rows: int, columns: int, how: Image.Resampling = Image.Resampling.BILINEAR) -> Floats:
    planes = (
        Image.fromarray(np.ascontiguousarray(layer)).resize((columns, rows), how)
        for layer in np.moveaxis(layers, -1, 0)
    )
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def _smoothed(cells: Floats) -> Floats:
    """Return the mean of each cell and its neighbours."""
    padded = np.pad(cells, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    result: Floats = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / np.float32(16)
    return result


def _sampled(picture: Floats, shifts: Floats) -> Floats:
    """Return a picture's values where the shifts point to, bilinearly."""
    height, width = picture.shape
    xs = (np.arange(width, dtype=np.float32) + shifts[..., 0]).clip(0, width - 1.001)
    ys = (np.arange(height, dtype=np.float32)[:, None] + shifts[..., 1]).clip(0, height - 1.001)
    left, top = xs.astype(np.int32), ys.astype(np.int32)
    right, down = xs - left, ys - top
    flat, place = picture.ravel(), top * width + left
    upper = flat[place] * (1 - right) + flat[place + 1] * right
    lower = flat[place + width] * (1 - right) + flat[place + width + 1] * right
    result: Floats = upper * (1 - down) + lower * down
    return result


def moved(picture: Pixels, shifts: Floats) -> Pixels:
    """Return a picture as it looks once the scene has moved.

    Args:
        picture: `(H, W, 3)` RGB values.
        shifts: what `flow` found.
    """
    if not shifts.any():
        return picture
    height, width = picture.shape[:2]
    rows, columns = shifts.shape[:2]
    xs, ys = (np.linspace(0, side, cells + 1).round() for side, cells in ((width, columns), (height, rows)))
    corners = np.stack(np.meshgrid(xs, ys), axis=-1) + _at_corners(shifts) * np.array([width, height])
    quads = np.concatenate([corners[:-1, :-1], corners[1:, :-1], corners[1:, 1:], corners[:-1, 1:]], axis=-1)
    mesh = [
        ((int(xs[column]), int(ys[row]), int(xs[column + 1]), int(ys[row + 1])), tuple(quads[row, column].tolist()))
        for row in range(rows)
        for column in range(columns)
    ]
    image = Image.fromarray(picture)
    return np.asarray(image.transform(image.size, Image.Transform.MESH, mesh, Image.Resampling.BICUBIC))


def _at_corners(cells: Floats) -> Floats:
    """Return the means of the cells that meet in each corner."""
    padded = np.pad(cells, ((1, 1), (1, 1), (0, 0)), mode="edge")
    result: Floats = (padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]) / np.float32(4)
    return result
