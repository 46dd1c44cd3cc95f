"""Pictures larger than memory, painted in tiles that cannot be seen.

Tiles agree because they are normalised alike, by the whole picture's statistics, and because each is painted with as
much of the photo around it as its pixels depend on. The statistics are gathered layer by layer, each in one pass over
all tiles, which gives what the untiled network computes. Cheaper ways were measured on two pictures of 6 megapixels
against the untiled result (`starry-night`, mean difference of 255): statistics of a copy reduced to 1,000 px (Chen et
al. 2022) 8 and 5; of 64 crops of 256 px taken together 2 and 3; all layers gathered at once, and again with what
was found, 1 and 0.4 after three rounds, and for `johnson` they run away.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import add

import numpy as np
from numpy.typing import NDArray

from stylekit.engines.protocol import Engine
from stylekit.errors import OutOfMemory
from stylekit.images.pixels import Pixels, to_bytes
from stylekit.networks.shapes import SIDE_MULTIPLE
from stylekit.system.memory import free_memory

_AUTO_SIDES = (1024, 512, 256, 128)  # px, of tiles; the next where the last needs more memory than there is
_AMPLE = 2_700_000_000  # bytes on a CPU: enough for 12 megapixels by `fast`
_FEW_NORMS = 8  # `fast` has four, and takes 2.4 times as long in tiles; `johnson` has fifteen, and takes nine times


def paint(engine: Engine, photos: Sequence[Pixels], tile: int | None = None) -> list[Pixels]:
    """Put a network's style on photos of one size, in tiles where they are too large for memory.

    Args:
        engine: what runs the network.
        photos: `(H, W, 3)` RGB values each.
        tile: side of the tiles in pixels; 0 paints a photo in one piece, None decides by its size and the memory that
            is free.

    Returns:
        As many pictures of the same size.

    Raises:
        OutOfMemory: if even the smallest tiles, or the ones wished for, do not fit.
    """
    if len(photos) > 1 and not tile and not _are_too_large(engine, photos):
        with contextlib.suppress(OutOfMemory):
            pictures = engine.run(np.stack([_floats(photo) for photo in photos]))
            return [_bytes(picture) for picture in pictures]
    return [_paint_one(engine, photo, tile) for photo in photos]


def _paint_one(engine: Engine, pixels: Pixels, tile: int | None) -> Pixels:
    if tile is not None:
        return _painted(engine, pixels, tile)
    sides = _AUTO_SIDES if _are_too_large(engine, [pixels]) else (0, *_AUTO_SIDES)
    for side in sides[:-1]:
        with contextlib.suppress(OutOfMemory):
            return _painted(engine, pixels, side)
    return _painted(engine, pixels, sides[-1])


def _are_too_large(engine: Engine, photos: Sequence[Pixels]) -> bool:
    """Tell whether photos, each in one piece, would take more than half of the free memory, or than is worth it.

    What the engine holds already is not asked about: that takes as long as reading a video's frame.
    """
    needed = sum(photo.shape[0] * photo.shape[1] for photo in photos) * engine.pixel_bytes
    if engine.device == "cpu" and needed > _AMPLE and engine.norms_in_turn <= _FEW_NORMS:
        return True
    if needed <= engine.held_bytes:
        return False
    return bool(needed > (free_memory(engine.device) + engine.held_bytes) / 2)


def _painted(engine: Engine, pixels: Pixels, side: int) -> Pixels:
    """Paint a picture in tiles of `side` px, or in one piece where that is 0 or no less than the picture's sides."""
    if not 0 < side < max(pixels.shape[:2]):
        return _bytes(engine.run(_floats(pixels)[None])[0])
    height, width = (_spans(length, side, engine.reach) for length in pixels.shape[:2])
    tiles = list(product(height, width))
    while engine.free_norms:
        moments = (
            engine.moments(_floats(pixels[rows.seen, columns.seen]), rows.part_of_seen, columns.part_of_seen)
            for rows, columns in tiles
        )
        engine = engine.with_norm(reduce(add, moments).statistics)
    result = np.empty_like(pixels)
    for rows, columns in tiles:
        picture = engine.run(_floats(pixels[rows.seen, columns.seen])[None])[0]
        result[rows.part, columns.part] = _bytes(picture[rows.part_of_seen, columns.part_of_seen])
    return result


@dataclass(frozen=True)
class _Span:
    """A tile's rows or columns.

    Attributes:
        part: what is painted.
        seen: what of the photo that depends on.
        part_of_seen: the one within the other.
    """

    part: slice
    seen: slice
    part_of_seen: slice


def _spans(length: int, side: int, reach: int) -> list[_Span]:
    """Cut a picture's rows or columns into tiles of `side`; the last is what is left, but no less than a cell."""
    side -= side % SIDE_MULTIPLE
    last_start = max(length - SIDE_MULTIPLE, 0)
    spans = []
    for start in range(0, last_start + 1, side):
        stop = start + side if start + side <= last_start else length
        first, last = max(start - reach, 0), min(stop + reach, length)
        spans.append(_Span(slice(start, stop), slice(first, last), slice(start - first, stop - first)))
    return spans


def _floats(pixels: Pixels) -> NDArray[np.float32]:
    return np.divide(pixels, 255, dtype=np.float32)


def _bytes(picture: NDArray[np.float32]) -> Pixels:
    """Return a network's picture, whose channels lie apart, as pixels, whose lie together.

    Channel by channel that takes a third of the time.
    """
    result = np.empty(picture.shape, np.uint8)
    for channel in range(picture.shape[-1]):
        result[..., channel] = to_bytes(picture[..., channel] * np.float32(255))
    return result
