"""Optimizers of an image's pixels, which stay in [0, 1]. A step is one evaluation of the losses."""

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from stylekit.losses.perceptual import Losses

Objective = Callable[[Tensor], Losses]
OnStep = Callable[[Losses], None]

_RANGE_PENALTY = 100.0  # weight of L-BFGS's penalty on values outside [0, 1]
_FIRST_STEP = 1e-3  # mean change of the values by L-BFGS's first step; a much shorter one drowns in rounding errors
_LEVELS = 5  # number of levels in L-BFGS's pyramid
_COARSER_WEIGHT = 0.6  # weight of a level relative to the next finer one
_FEWEST = 5  # evaluations in a run of L-BFGS that has not converged yet
_HISTORY = 20  # gradients that L-BFGS remembers; more do not help here, and each is as large as the image
_DECAY = 0.99  # decay of the average of Adam's iterates


class ImageOptimizer(Protocol):
    """An optimization of one image through several scales."""

    def restart(self, start: Tensor) -> None:
        """Continue at another scale from the image `(1, 3, H, W)`, keeping state such as Adam's moments."""
        ...

    def run(self, objective: Objective, steps: int, on_step: OnStep) -> None:
        """Take up to `steps` steps, and report each one."""
        ...

    @property
    def image(self) -> Tensor:
        """The image so far, `(1, 3, H, W)` in [0, 1]."""
        ...


class Lbfgs:
    """L-BFGS with a strong Wolfe line search, as in Gatys et al. 2015; its history is discarded at each scale.

    Clamping the values at each step would invalidate the history. A penalty keeps them near [0, 1] instead, and only
    the resulting image is clamped. The variables are the change from the start as a pyramid, at full size, half the
    size, a quarter …, which lets large areas change in few steps. L-BFGS's first step changes the variables by 1 in
    total, so one unit is the length of that step.
    """

    def restart(self, start: Tensor) -> None:
        """See `ImageOptimizer`."""
        height, width = start.shape[-2:]
        self._start = start.clone()
        self._unit = _FIRST_STEP * start.numel()
        self._pyramid = [
            start.new_zeros(*start.shape[:2], -(-height // 2**level), -(-width // 2**level)).requires_grad_()
            for level in range(_LEVELS)
        ]

    def _values(self) -> Tensor:
        *finer, change = self._pyramid
        for values in reversed(finer):
            height, width = values.shape[-2:]
            larger = F.interpolate(change, scale_factor=2, mode="bilinear")
            change = values + _COARSER_WEIGHT * larger[..., :height, :width]
        return self._start + self._unit * change

    def run(self, objective: Objective, steps: int, on_step: OnStep) -> None:
        """See `ImageOptimizer`."""
        taken = 0

        def evaluate() -> Tensor:
            nonlocal taken
            optimizer.zero_grad()
            values = self._values()
            losses = objective(values)
            total: Tensor = losses.total + _RANGE_PENALTY * (values - values.clamp(0, 1)).square().mean()
            total.backward()  # type: ignore[no-untyped-call]
            taken += 1
            if taken <= steps:  # the last line search may evaluate more
                on_step(losses)
            return total

        while (left := steps - taken) > 0:  # rounding errors can end a line search, and the optimizer, early
            before = taken
            optimizer = torch.optim.LBFGS(
                self._pyramid, max_iter=left, max_eval=left, history_size=_HISTORY, line_search_fn="strong_wolfe"
            )
            optimizer.step(evaluate)  # type: ignore[no-untyped-call]
            if taken - before < _FEWEST:  # converged
                return

    @property
    def image(self) -> Tensor:
        """See `ImageOptimizer`."""
        with torch.no_grad():
            return self._values().clamp(0, 1)


class Adam:
    """Adam, with moments that carry over from scale to scale; the result is the average of its iterates.

    Args:
        learning_rate: Step size, with values in [0, 1].
    """

    def __init__(self, learning_rate: float) -> None:
        self._learning_rate = learning_rate
        self._state: dict[str, Tensor] = {}

    def restart(self, start: Tensor) -> None:
        """See `ImageOptimizer`."""
        self._values = start.clone(memory_format=torch.contiguous_format).requires_grad_()
        self._optimizer = torch.optim.Adam([self._values], self._learning_rate, betas=(0.9, 0.99))
        size = start.shape[-2:]
        if self._state:
            moments = {key: self._state[key] for key in ("exp_avg", "exp_avg_sq")}
            resized = {
                key: F.interpolate(moment, (size[0], size[1]), mode="bilinear") for key, moment in moments.items()
            }
            self._optimizer.state[self._values] = {"step": self._state["step"], **resized}
        self._average, self._average_weight = torch.zeros_like(start), 0.0

    def run(self, objective: Objective, steps: int, on_step: OnStep) -> None:
        """See `ImageOptimizer`."""
        for _ in range(steps):
            self._optimizer.zero_grad()
            losses = objective(self._values)
            losses.total.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            with torch.no_grad():
                self._values.clamp_(0, 1)
                self._average.lerp_(self._values, 1 - _DECAY)
            self._average_weight = 1 - (1 - self._average_weight) * _DECAY
            on_step(losses)
        self._state = self._optimizer.state[self._values]

    @property
    def image(self) -> Tensor:
        """See `ImageOptimizer`."""
        average = self._average / self._average_weight if self._average_weight else self._values.detach()
        return average.clamp(0, 1)
