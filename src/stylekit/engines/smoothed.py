"""A network for videos, whose normalisations change slowly: colours do not pump when something bright comes by."""

from stylekit.engines.moments import Moments
from stylekit.engines.protocol import Engine, Pictures, UsedStatistics
from stylekit.networks.shapes import Statistics


class SmoothedEngine:
    """Runs an engine on a video's pictures, one after another; see `Engine`.

    Args:
        engine: what runs the network.
        share: how much of the last picture's statistics goes into a picture's.
        last: those statistics; empty at the beginning.
    """

    def __init__(self, engine: Engine, share: float, last: tuple[UsedStatistics, ...] = ()) -> None:
        self._engine = engine
        self._share = share
        self.last = last
        self.device = engine.device
        self.reach = engine.reach
        self.free_norms = engine.free_norms
        self.norms_in_turn = engine.norms_in_turn
        self.pixel_bytes = engine.pixel_bytes

    @property
    def held_bytes(self) -> int:
        """See `Engine`."""
        return self._engine.held_bytes

    def run(self, pictures: Pictures) -> Pictures:
        """Stylise the video's next picture, `(1, H, W, 3)`; see `Engine.run`."""
        result, self.last = self._engine.run_after(pictures, self.last, self._share)
        return result

    def run_after(
        self, picture: Pictures, last: tuple[UsedStatistics, ...], share: float
    ) -> tuple[Pictures, tuple[UsedStatistics, ...]]:
        """See `Engine.run_after`."""
        return self._engine.run_after(picture, last, share)

    def forget(self) -> None:
        """Begin anew, as after a cut."""
        self.last = ()

    def moments(self, tile: Pictures, rows: slice, columns: slice) -> Moments:
        """See `Engine.moments`; a picture in tiles has its own statistics."""
        return self._engine.moments(tile, rows, columns)

    def with_norm(self, statistics: Statistics) -> Engine:
        """See `Engine.with_norm`."""
        return self._engine.with_norm(statistics)

    def replicas(self) -> "list[SmoothedEngine]":
        """See `Engine.replicas`; each picture follows from the last, so there is one."""
        return [self]
