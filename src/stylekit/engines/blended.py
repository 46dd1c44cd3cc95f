"""An engine that runs several networks and returns the weighted mean of their results."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stylekit.engines.moments import Moments
from stylekit.engines.protocol import Engine, EngineFacts, Images, UsedStatistics
from stylekit.networks.shapes import NormStatistics


class BlendedEngine:
    """Runs the networks of several styles and mixes their results; see `Engine`.

    Averaging the weights of the networks instead would need only one pass. For styles trained from one another the
    result looks as good, but for other styles the averaged network paints nothing.

    Args:
        engines: The engines that run the networks.
        shares: The share of each engine in the result; only the ratios matter.
    """

    def __init__(self, engines: Sequence[Engine], shares: Sequence[float]) -> None:
        """Combine the engines."""
        self._engines = engines
        self._shares = [share / sum(shares) for share in shares]
        self.facts = _combined([engine.facts for engine in engines])

    @property
    def held_bytes(self) -> int:
        """See `Engine.held_bytes`."""
        return max(engine.held_bytes for engine in self._engines)

    def run(self, images: Images) -> Images:
        """See `Engine.run`."""
        mixed = self._engines[0].run(images) * self._shares[0]
        for engine, share in zip(self._engines[1:], self._shares[1:], strict=True):
            mixed += engine.run(images) * share
        return mixed

    def run_after(
        self, image: Images, previous: tuple[UsedStatistics, ...], share: float
    ) -> tuple[Images, tuple[UsedStatistics, ...]]:
        """See `Engine.run_after`."""
        mixed: Images = np.zeros_like(image)
        used: tuple[UsedStatistics, ...] = ()
        for engine, part in zip(self._engines, self._shares, strict=True):
            first = len(used)
            result, statistics = engine.run_after(image, previous[first : first + engine.facts.free_norms], share)
            mixed += result * np.float32(part)
            used += statistics
        return mixed, used

    def moments(self, tile: Images, rows: slice, columns: slice) -> Moments:
        """See `Engine.moments`."""
        return self._engines[self._first_free].moments(tile, rows, columns)

    def with_norm(self, statistics: NormStatistics) -> "BlendedEngine":
        """See `Engine.with_norm`."""
        engines = list(self._engines)
        engines[self._first_free] = engines[self._first_free].with_norm(statistics)
        return BlendedEngine(engines, self._shares)

    def replicas(self) -> "list[BlendedEngine]":
        """See `Engine.replicas`."""
        replicas = zip(*(engine.replicas() for engine in self._engines), strict=False)  # as many as every engine has
        return [BlendedEngine(engines, self._shares) for engines in replicas]

    @property
    def _first_free(self) -> int:
        return next(number for number, engine in enumerate(self._engines) if engine.facts.free_norms)


def _combined(facts: Sequence[EngineFacts]) -> EngineFacts:
    """Return the facts of engines on one device that run one after another."""
    return replace(
        facts[0],
        receptive_radius=max(each.receptive_radius for each in facts),
        free_norms=sum(each.free_norms for each in facts),
        norm_depth=max(each.norm_depth for each in facts),
        bytes_per_pixel=max(each.bytes_per_pixel for each in facts),
    )
