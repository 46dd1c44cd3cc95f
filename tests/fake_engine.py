"""An engine for tests that need no network."""

import numpy as np

from stylekit.engines.protocol import EngineFacts


class FakeEngine:
    """An engine without a network; subclasses define `run`."""

    facts = EngineFacts("fake", "cpu", 8, free_norms=0, norm_depth=0, bytes_per_pixel=100)
    held_bytes = 0

    def run(self, images):
        raise NotImplementedError

    def run_after(self, image, previous, share):
        """Run, with the number of frames before this one as the statistics used."""
        count = previous[0] + 1 if previous else np.zeros((2, 1, 1, 1), np.float32)
        return self.run(image), (count,)

    def moments(self, tile, rows, columns):
        raise NotImplementedError

    def with_norm(self, statistics):
        raise NotImplementedError

    def replicas(self):
        return [self]
