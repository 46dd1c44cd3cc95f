"""The scales of an optimization, from coarse to fine, and its progress through them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from stylekit.losses.perceptual import Losses

Size = tuple[int, int]  # height, width

_SHORTEST_LONG_SIDE = 128  # pixels, of the coarsest scale
_SCALE_FACTOR = 2  # between neighboring scales
_USABLE_MEMORY = 0.9  # share of a device's memory to plan with
_LEAST_STEPS = 1 / 4  # minimum share of the finest scale's steps; with fewer, no large strokes emerge


@dataclass(frozen=True)
class GatysReport:
    """One evaluation of the losses.

    Attributes:
        step: The number of this step at its scale, from 1.
        steps: Number of steps at this scale.
        scale: The scale's number, from 1.
        scales: Number of scales.
        width: Width of the image at this scale in pixels.
        height: Height of the image at this scale in pixels.
        done: Share of the total work that is done, 0 to 1.
        total: The weighted sum of the losses.
        content: Relative content loss.
        style: Relative style loss.
        tv: Total variation.
        seconds: Seconds since the first step.
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


class StepCounter:
    """Counts the steps of an optimization, weighting each step by the number of pixels.

    Args:
        scales: The sizes of the scales.
        steps: Number of steps at the finest scale. Each coarser scale uses half as many as the next finer one, which
            restores the photo's detail anyway, but never fewer than a quarter of `steps`.

    Attributes:
        steps: Number of steps at each scale.
        steps_taken: Steps taken so far, at all scales.
    """

    def __init__(self, scales: Sequence[Size], steps: int) -> None:
        self._scales = scales
        shares = (max(_LEAST_STEPS, 1 / 2**coarser) for coarser in reversed(range(len(scales))))
        self.steps = [max(1, int(steps * share)) for share in shares]
        self._scale = 0
        self._step = 0
        self.steps_taken = 0
        self._began = time.monotonic()

    def report(self, scale: int, losses: Losses) -> GatysReport:
        """Count a step at the scale with this number, from 1, and report it."""
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
    """Return the sizes of an image's scales, of which the last is `(height, width)`.

    Args:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        least: Shortest side in pixels that a scale may have.
    """
    sizes = [(height, width)]
    while True:
        shrink = _SCALE_FACTOR ** len(sizes)
        size = round(height / shrink), round(width / shrink)
        if max(size) < _SHORTEST_LONG_SIDE or min(size) < least:
            return sizes[::-1]
        sizes.append(size)


def largest_side(side: int, peak: int, room: int, *, below: int) -> int:
    """Estimate the longest side in pixels of an image that fits in memory, from the memory that a smaller image took.

    Args:
        side: Longer side in pixels of an image that fitted.
        peak: Bytes of memory that the smaller image took, proportional to its pixels.
        room: Bytes of memory that are available.
        below: Longer side in pixels of an image that did not fit.
    """
    estimate = int(side * (_USABLE_MEMORY * room / max(peak, 1)) ** 0.5)
    return max(side, min(estimate, below - 1))
