"""Optimisers of a picture's pixels. The picture stays in [0, 1]; a step is one evaluation of the losses."""

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from stylekit.losses.perceptual import Losses

Objective = Callable[[Tensor], Losses]
OnStep = Callable[[Losses], None]

_LEASH = 100.0  # weight of L-BFGS's penalty on values outside [0, 1]
_FIRST_STEP = 1e-3  # of L-BFGS, as a mean change of the values; a much shorter one drowns in rounding errors
_LEVELS = 5  # of L-BFGS's pyramid
_COARSER = 0.6  # how much a level counts, to the next finer one
_FEWEST = 5  # evaluations of a run of L-BFGS that got somewhere
_HISTORY = 20  # gradients that L-BFGS remembers; more are no better here, and each is as large as the picture
_DECAY = 0.99  # of the average of Adam's iterates


class Descent(Protocol):
    """An optimisation of a picture, from scale to scale."""

    def resize(self, start: Tensor) -> None:
        """Go on at another scale: from this picture, `(1, 3, H, W)`, with what has been learnt about it so far."""
        ...

    def run(self, objective: Objective, steps: int, on_step: OnStep) -> None:
        """Take so many steps, and report each."""
        ...

    @property
    def picture(self) -> Tensor:
        """The picture so far, `(1, 3, H, W)` in [0, 1]."""
        ...


class Lbfgs:
    """L-BFGS with a strong Wolfe line search, as Gatys et al. 2015 took; begins anew at each scale.

    Clamping values at each step would invalidate what it remembers, so a penalty keeps them near [0, 1], and only the
    picture is clamped. The variables are what has been added to the start, as a pyramid: at full size, half of it, a
    quarter … That lets large areas change in few steps. The first step changes the variables by 1 in all, so
    their unit is that step's length.
    """

    def resize(self, start: Tensor) -> None:
        """See `Descent`."""
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
            change = values + _COARSER * larger[..., :height, :width]
        return self._start + self._unit * change

    def run(self, objective: Objective, steps: int, on_step: OnStep) -> None:
        """See `Descent`."""
        taken = 0

        def evaluate() -> Tensor:
            nonlocal taken
            optimiser.zero_grad()
            values = self._values()
            losses = objective(values)
            total: Tensor = losses.total + _LEASH * (values - values.clamp(0, 1)).square().mean()
            total.backward()  # type: ignore[no-untyped-call]
            taken += 1
            if taken <= steps:  # its last line search may go beyond
                on_step(losses)
            return total

        while (left := steps - taken) > 0:  # a line search that rounding errors have led astray ends it early
            before = taken
            optimiser = torch.optim.LBFGS(
                self._pyramid, max_iter=left, max_eval=left, history_size=_HISTORY, line_search_fn="strong_wolfe"
            )
            optimiser.step(evaluate)  # type: ignore[no-untyped-call]
            if taken - before < _FEWEST:  # nothing is left to gain
                return

    @property
    def picture(self) -> Tensor:
        """See `Descent`."""
        with torch.no_grad():
            return self._values().clamp(0, 1)


class Adam:
    """Adam, its moments kept from scale to scale, and the average of its iterates as the result."""

    def __init__(self, learning_rate: float) -> None:
        self._rate = learning_rate
        self._state: dict[str, Tensor] = {}

    def resize(self, start: Tensor) -> None:
        """See `Descent`."""
        self._values = start.clone(memory_format=torch.contiguous_format).requires_grad_()
        self._optimiser = torch.optim.Adam([self._values], self._rate, betas=(0.9, 0.99))
        size = start.shape[-2:]
        if self._state:
            moments = {key: self._state[key] for key in ("exp_avg", "exp_avg_sq")}
            resized = {
                key: F.interpolate(moment, (size[0], size[1]), mode="bilinear") for key, moment in moments.items()
            }
            self._optimiser.state[self._values] = {"step": self._state["step"], **resized}
        self._average, self._share = torch.zeros_like(start), 0.0

    def run(self, objective: Objective, steps: int, on_step: OnStep) -> None:
        """See `Descent`."""
        for _ in range(steps):
            self._optimiser.zero_grad()
            losses = objective(self._values)
            losses.total.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
            with torch.no_grad():
                self._values.clamp_(0, 1)
                self._average.lerp_(self._values, 1 - _DECAY)
            self._share = 1 - (1 - self._share) * _DECAY
            on_step(losses)
        self._state = self._optimiser.state[self._values]

    @property
    def picture(self) -> Tensor:
        """See `Descent`."""
        return (self._average / self._share if self._share else self._values.detach()).clamp(0, 1)
