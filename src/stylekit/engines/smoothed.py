"""An engine for videos whose normalizations change slowly, so that colors do not flicker as bright objects pass."""

from stylekit.engines.moments import Moments
from stylekit.engines.protocol import Engine, Images, UsedStatistics
from stylekit.networks.shapes import NormStatistics


class SmoothedEngine:
    """Runs an engine on the frames of a video, one after another; see `Engine`.

    Args:
        engine: The engine that runs the network.
        share: The weight of the previous frame's statistics for the next frame, 0 to 1.
        statistics: The previous frame's statistics; empty at the start.

    Attributes:
        statistics: The statistics used for the latest frame.
    """

    def __init__(self, engine: Engine, share: float, statistics: tuple[UsedStatistics, ...] = ()) -> None:
        """Start with the first frame, or after the frame that `statistics` come from."""
        self._engine = engine
        self._share = share
        self.statistics = statistics
        self.facts = engine.facts

    @property
    def held_bytes(self) -> int:
        """See `Engine.held_bytes`."""
        return self._engine.held_bytes

    def run(self, images: Images) -> Images:
        """Stylize the next frame, `(1, H, W, 3)`; see `Engine.run`."""
        result, self.statistics = self._engine.run_after(images, self.statistics, self._share)
        return result

    def run_after(
        self, image: Images, previous: tuple[UsedStatistics, ...], share: float
    ) -> tuple[Images, tuple[UsedStatistics, ...]]:
        """See `Engine.run_after`."""
        return self._engine.run_after(image, previous, share)

    def forget(self) -> None:
        """Forget the previous frame, as after a cut."""
        self.statistics = ()

    def moments(self, tile: Images, rows: slice, columns: slice) -> Moments:
        """See `Engine.moments`; a frame in tiles is not smoothed."""
        return self._engine.moments(tile, rows, columns)

    def with_norm(self, statistics: NormStatistics) -> Engine:
        """See `Engine.with_norm`."""
        return self._engine.with_norm(statistics)

    def replicas(self) -> "list[SmoothedEngine]":
        """See `Engine.replicas`; there is only one engine, because each frame depends on the previous frame."""
        return [self]
