"""From coarse to fine: the sizes of a picture on the way, and how far along it is."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from stylekit.losses.perceptual import Losses

Size = tuple[int, int]  # height, width

_COARSEST = 128  # pixels, longer side of the first scale
_FINER = 2  # each scale to the last
_SAFE = 0.9  # share of a device's memory to count on
_FEWEST = 1 / 4  # of the last scale's steps: a handful would find no large strokes


@dataclass(frozen=True)
class GatysReport:
    """An evaluation of the losses.

    Attributes:
        step: its number at this scale, from 1.
        steps: how many there are at this scale.
        scale: the scale's number, from 1.
        scales: how many there are.
        width: of the picture at this scale.
        height: likewise.
        done: share of all the work that is done, 0 to 1.
        total: the weighted sum of the losses.
        content: relative content loss.
        style: relative style loss.
        tv: total variation.
        seconds: since the first step.
    """

    step: int
    steps: int
    scale: int
    scales: int
    width: int
    height: int
    done: float
    total: float
    content: float
    style: float
    tv: float
    seconds: float


class Progress:
    """How far an optimisation is. A step takes as long as it has pixels.

    Args:
        scales: their sizes.
        steps: how many there are at the last; each coarser one has half as many, for the next begins from the photo's
            own detail again, but a quarter at least.

    Attributes:
        steps: at each scale.
        steps_taken: at all scales.
    """

    def __init__(self, scales: Sequence[Size], steps: int) -> None:
        self._scales = scales
        shares = (max(_FEWEST, 1 / 2**coarser) for coarser in reversed(range(len(scales))))
        self.steps = [max(1, int(steps * share)) for share in shares]
        self._scale = 0
        self._step = 0
        self.steps_taken = 0
        self._began = time.monotonic()

    def report(self, scale: int, losses: Losses) -> GatysReport:
        """Count a step at this scale."""
        self._step = self._step + 1 if scale == self._scale else 1
        self._scale = scale
        self.steps_taken += 1
        work = [height * width * steps for (height, width), steps in zip(self._scales, self.steps, strict=True)]
        done = (sum(work[: scale - 1]) + work[scale - 1] * self._step / self.steps[scale - 1]) / sum(work)
        height, width = self._scales[scale - 1]
        total, content, style, tv = (part.item() for part in losses)
        return GatysReport(
            step=self._step,
            steps=self.steps[scale - 1],
            scale=scale,
            scales=len(self._scales),
            width=width,
            height=height,
            done=done,
            total=total,
            content=content,
            style=style,
            tv=tv,
            seconds=time.monotonic() - self._began,
        )


def coarse_to_fine(height: int, width: int, *, least: int) -> list[Size]:
    """Return sizes of a picture, the last the one given, none with a side of less than `least` pixels."""
    sizes = [(height, width)]
    while True:
        shrink = _FINER ** len(sizes)
        size = round(height / shrink), round(width / shrink)
        if max(size) < _COARSEST or min(size) < least:
            return sizes[::-1]
        sizes.append(size)


def largest_side(side: int, peak: int, room: int, *, below: int) -> int:
    """Return how long a picture's side can be, for all that one of another size has taken.

    Args:
        side: of the picture that fitted, in pixels.
        peak: memory that it took, in bytes; it grows with the pixels.
        room: memory that there is.
        below: a side that did not fit.
    """
    estimate = int(side * (_SAFE * room / max(peak, 1)) ** 0.5)
    return max(side, min(estimate, below - 1))
