"""Several networks as one: the weighted mean of what they paint."""

from collections.abc import Sequence

import numpy as np

from stylekit.engines.moments import Moments
from stylekit.engines.protocol import Engine, Pictures, UsedStatistics
from stylekit.networks.shapes import Statistics


class BlendedEngine:
    """Runs several styles' networks and mixes their pictures; see `Engine`.

    Mixing weights would take one pass instead of several, and looks as good for styles that were trained from one
    another; for any others it gives a network that paints nothing.

    Args:
        engines: what runs the networks.
        shares: how much of each goes into the picture; only their ratios matter.
    """

    def __init__(self, engines: Sequence[Engine], shares: Sequence[float]) -> None:
        self._engines = engines
        self._shares = [share / sum(shares) for share in shares]
        self.device = engines[0].device
        self.reach = max(engine.reach for engine in engines)
        self.free_norms = sum(engine.free_norms for engine in engines)
        self.norms_in_turn = max(engine.norms_in_turn for engine in engines)
        self.pixel_bytes = max(engine.pixel_bytes for engine in engines)

    @property
    def held_bytes(self) -> int:
        """See `Engine`."""
        return max(engine.held_bytes for engine in self._engines)

    def run(self, pictures: Pictures) -> Pictures:
        """See `Engine.run`."""
        mixed = self._engines[0].run(pictures) * self._shares[0]
        for engine, share in zip(self._engines[1:], self._shares[1:], strict=True):
            mixed += engine.run(pictures) * share
        return mixed

    def run_after(
        self, picture: Pictures, last: tuple[UsedStatistics, ...], share: float
    ) -> tuple[Pictures, tuple[UsedStatistics, ...]]:
        """See `Engine.run_after`."""
        mixed: Pictures = np.zeros_like(picture)
        used: tuple[UsedStatistics, ...] = ()
        for engine, part in zip(self._engines, self._shares, strict=True):
            first = len(used)
            result, statistics = engine.run_after(picture, last[first : first + engine.free_norms], share)
            mixed += result * np.float32(part)
            used += statistics
        return mixed, used

    def moments(self, tile: Pictures, rows: slice, columns: slice) -> Moments:
        """See `Engine.moments`."""
        return self._engines[self._first_free].moments(tile, rows, columns)

    def with_norm(self, statistics: Statistics) -> "BlendedEngine":
        """See `Engine.with_norm`."""
        engines = list(self._engines)
        engines[self._first_free] = engines[self._first_free].with_norm(statistics)
        return BlendedEngine(engines, self._shares)

    def replicas(self) -> "list[BlendedEngine]":
        """See `Engine.replicas`."""
        halves = zip(*(engine.replicas() for engine in self._engines), strict=False)  # one, if any has but one
        return [BlendedEngine(half, self._shares) for half in halves]

    @property
    def _first_free(self) -> int:
        return next(number for number, engine in enumerate(self._engines) if engine.free_norms)
