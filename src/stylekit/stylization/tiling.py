"""Stylize images that are too large for memory in tiles, with the same result as in one piece.

Tiles match because all are normalized by the statistics of the whole image, and because each is stylized together with
the surrounding pixels that affect it. The statistics of each normalization are gathered in a separate pass over all
tiles, and therefore equal the statistics of the whole image.

Cheaper ways to gather the statistics were tried with `starry-night` on two images of 6 megapixels. These are the mean
differences from the result in one piece, on the scale of 0 to 255:

- from a copy of the image reduced to 1,000 pixels (Chen et al. 2022): 8 and 5
- from 64 crops of 256 pixels: 2 and 3
- for all normalizations in one pass, repeated with the result: 1 and 0.4 after three passes, but `johnson` diverges
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import add

import numpy as np

from stylekit.engines.protocol import Engine
from stylekit.errors import OutOfMemory
from stylekit.images.pixels import Pixels, to_bytes, to_floats
from stylekit.networks.shapes import TILE_MULTIPLE
from stylekit.system.memory import free_memory

_AUTO_SIDES = (1024, 512, 256, 128)  # of tiles in pixels, tried in order until one fits in memory
_AMPLE = 2_700_000_000  # bytes that are enough on a CPU: `fast` needs this many for 12 megapixels
_FEW_NORMS = 8  # normalizations; in tiles, `fast` (4) takes 2.4 times as long, and `johnson` (15) nine times


def paint(engine: Engine, photos: Sequence[Pixels], tile: int | None = None) -> list[Pixels]:
    """Stylize photos of one size, in tiles if they are too large for memory.

    Args:
        engine: The engine that runs the network.
        photos: RGB values `(H, W, 3)` each.
        tile: Side of the tiles in pixels; 0 stylizes each photo in one piece, None decides by its size and the free
            memory.

    Returns:
        The stylized photos, `(H, W, 3)` each.

    Raises:
        OutOfMemory: If even the smallest tiles, or those of side `tile`, do not fit in memory.
    """
    if len(photos) > 1 and not tile and not _are_too_large(engine, photos):
        with contextlib.suppress(OutOfMemory):
            images = engine.run(np.stack([to_floats(photo) for photo in photos]))
            return [to_bytes(image) for image in images]
    return [_paint_one(engine, photo, tile) for photo in photos]


def _paint_one(engine: Engine, pixels: Pixels, tile: int | None) -> Pixels:
    if tile is not None:
        return _paint_in_tiles(engine, pixels, tile)
    sides = _AUTO_SIDES if _are_too_large(engine, [pixels]) else (0, *_AUTO_SIDES)
    for side in sides[:-1]:
        with contextlib.suppress(OutOfMemory):
            return _paint_in_tiles(engine, pixels, side)
    return _paint_in_tiles(engine, pixels, sides[-1])


def _are_too_large(engine: Engine, photos: Sequence[Pixels]) -> bool:
    """Return whether photos in one piece would take more than half of the free memory or, on a CPU, needlessly much.

    If the memory that the engine holds suffices, the free memory is not queried, because that takes as long as reading
    a video frame.
    """
    facts = engine.facts
    needed = sum(photo.shape[0] * photo.shape[1] for photo in photos) * facts.bytes_per_pixel
    if facts.device == "cpu" and needed > _AMPLE and facts.norm_depth <= _FEW_NORMS:
        return True
    if needed <= engine.held_bytes:
        return False
    return bool(needed > (free_memory(facts.device) + engine.held_bytes) / 2)


def _paint_in_tiles(engine: Engine, pixels: Pixels, side: int) -> Pixels:
    """Stylize a photo in tiles of `side` pixels, or in one piece if `side` is 0 or the photo is no larger."""
    if not 0 < side < max(pixels.shape[:2]):
        return to_bytes(engine.run(to_floats(pixels)[None])[0])
    height, width = (_spans(length, side, engine.facts.receptive_radius) for length in pixels.shape[:2])
    tiles = list(product(height, width))
    while engine.facts.free_norms:
        moments = (
            engine.moments(to_floats(pixels[rows.seen, columns.seen]), rows.part_of_seen, columns.part_of_seen)
            for rows, columns in tiles
        )
        engine = engine.with_norm(reduce(add, moments).statistics)
    result = np.empty_like(pixels)
    for rows, columns in tiles:
        image = engine.run(to_floats(pixels[rows.seen, columns.seen])[None])[0]
        result[rows.part, columns.part] = to_bytes(image[rows.part_of_seen, columns.part_of_seen])
    return result


@dataclass(frozen=True)
class _Span:
    """The rows or the columns of a tile.

    Attributes:
        part: The rows of the result that the tile contributes.
        seen: The rows of the photo that `part` depends on.
        part_of_seen: `part`, counted from the start of `seen`.
    """

    part: slice
    seen: slice
    part_of_seen: slice


def _spans(length: int, side: int, radius: int) -> list[_Span]:
    """Divide the rows or columns of an image into tiles of `side` pixels.

    The last tile takes the rest. If fewer than `TILE_MULTIPLE` pixels would be left beyond the last tile, they are
    added to it.

    Args:
        length: The number of rows or columns.
        side: The side of a tile in pixels, rounded down to a multiple of `TILE_MULTIPLE`.
        radius: The network's receptive radius.
    """
    side -= side % TILE_MULTIPLE
    last_start = max(length - TILE_MULTIPLE, 0)
    spans = []
    for start in range(0, last_start + 1, side):
        stop = start + side if start + side <= last_start else length
        first, last = max(start - radius, 0), min(stop + radius, length)
        spans.append(_Span(slice(start, stop), slice(first, last), slice(start - first, stop - first)))
    return spans
