"""Several networks as one: the weighted mean of what they paint."""

from collections.abc import Sequence

from stylekit.engines import Engine, Pictures


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

    def run(self, pictures: Pictures) -> Pictures:
        """See `Engine.run`."""
        mixed = self._engines[0].run(pictures) * self._shares[0]
        for engine, share in zip(self._engines[1:], self._shares[1:], strict=True):
            mixed += engine.run(pictures) * share
        return mixed
