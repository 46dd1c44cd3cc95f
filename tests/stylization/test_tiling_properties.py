"""Tiles of any size, photo and network: they cover each pixel once, stay within the photo and within memory."""

import dataclasses
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stylekit.engines.moments import Moments
from stylekit.engines.protocol import EngineFacts
from stylekit.errors import OutOfMemory
from stylekit.networks import architectures
from stylekit.networks.shapes import TILE_MULTIPLE
from stylekit.stylization import tiling
from stylekit.stylization.tiling import _AUTO_SIDES, _spans, paint

QUICK = settings(derandomize=True, deadline=None, max_examples=50)
RADII = sorted({network.receptive_radius({}) for network in architectures()})

radii = st.sampled_from(RADII) | st.integers(0, 40).map(lambda cells: cells * TILE_MULTIPLE)
tiles = st.integers(TILE_MULTIPLE, 400)
sides = st.integers(1, 300)


class Marking:
    """An engine that gives each pixel back, and records what it is given.

    Args:
        facts: Its facts.
        room: The pixels for which it has memory.
    """

    held_bytes = 0

    def __init__(self, facts: EngineFacts, room: float = np.inf) -> None:
        self.facts = facts
        self.room = room
        self.runs: list[tuple[int, int]] = []
        self.counted = np.zeros(0)

    def run(self, images):
        height, width = images.shape[1:3]
        if height * width > self.room:
            raise OutOfMemory("Out of memory on cpu.", "")
        self.runs.append((height, width))
        return images

    def moments(self, tile, rows, columns):
        part = tile[rows, columns].reshape(-1, 3).T[..., None]
        self.counted = self.counted + part[0, :, 0].size
        return Moments.of(np.ascontiguousarray(part))

    def with_norm(self, statistics):
        engine = Marking(dataclasses.replace(self.facts, free_norms=self.facts.free_norms - 1), self.room)
        engine.runs = self.runs
        return engine


def facts_of(radius: int, **changes: Any) -> EngineFacts:
    facts = EngineFacts("fake", "cpu", radius, free_norms=0, norm_depth=0, bytes_per_pixel=100)
    return dataclasses.replace(facts, **changes)


def numbered(height: int, width: int) -> np.ndarray:
    """Return a photo whose pixels all differ."""
    numbers = np.arange(height * width).reshape(height, width)
    return np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16], axis=-1).astype(np.uint8)


@QUICK
@given(length=st.integers(1, 5000), side=st.integers(TILE_MULTIPLE, 1500), radius=radii)
def test_spans_cover_every_row_once_and_see_all_that_it_depends_on(length, side, radius):
    spans = _spans(length, side, radius)
    assert [row for span in spans for row in range(length)[span.part]] == list(range(length))
    for span in spans:
        assert 0 <= span.seen.start <= span.part.start < span.part.stop <= span.seen.stop <= length
        assert span.part.start - span.seen.start == min(radius, span.part.start)
        assert span.seen.stop - span.part.stop == min(radius, length - span.part.stop)
        assert range(length)[span.seen][span.part_of_seen] == range(length)[span.part]
        assert span.part.start % TILE_MULTIPLE == span.seen.start % TILE_MULTIPLE == 0
        assert span.part.stop - span.part.start < side + TILE_MULTIPLE
    assert len(spans) <= -(-length // (side - side % TILE_MULTIPLE))


@QUICK
@given(height=sides, width=sides, tile=tiles, radius=radii)
def test_tiles_give_back_every_pixel_and_are_no_larger_than_asked_for(height, width, tile, radius):
    engine: Any = Marking(facts_of(radius))
    photo = numbered(height, width)
    assert np.array_equal(paint(engine, [photo], tile)[0], photo)
    largest = tile + TILE_MULTIPLE + 2 * radius
    assert all(rows <= min(height, largest) and columns <= min(width, largest) for rows, columns in engine.runs)


@QUICK
@given(height=sides, width=sides, tile=tiles, radius=radii)
def test_the_statistics_of_tiles_are_those_of_the_whole_photo(height, width, tile, radius):
    photo = numbered(height, width)
    rows, columns = (_spans(length, tile, radius) for length in (height, width))
    engine = Marking(facts_of(radius))
    parts = [
        engine.moments(photo[row.seen, column.seen].astype(np.float32), row.part_of_seen, column.part_of_seen)
        for row, column in product(rows, columns)
    ]
    together = sum(parts[1:], parts[0])
    assert together.count == height * width
    np.testing.assert_allclose(together.statistics[0], photo.mean(axis=(0, 1)), rtol=1e-5, atol=1e-5)


@QUICK
@given(
    height=st.integers(1, 1500),
    width=st.integers(1, 300),
    radius=st.sampled_from(RADII),
    room=st.integers(1, 1500 * 300),
    free=st.integers(0, 1500 * 300 * 200),
)
def test_auto_stays_within_memory_or_fails_for_the_smallest_tiles_only(height, width, radius, room, free):
    engine: Any = Marking(facts_of(radius), room)
    photo = numbered(height, width)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiling, "free_memory", lambda device: free)
        smallest = _AUTO_SIDES[-1] + TILE_MULTIPLE + 2 * radius
        try:
            result = paint(engine, [photo])[0]
        except OutOfMemory:
            assert room < min(height, smallest) * min(width, smallest)
            return
    assert np.array_equal(result, photo)
    assert all(rows * columns <= room for rows, columns in engine.runs)
    if 100 * height * width > free / 2 and max(height, width) > _AUTO_SIDES[0]:
        assert (height, width) not in engine.runs
