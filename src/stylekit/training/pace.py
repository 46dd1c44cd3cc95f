"""Measure how many training steps fit in a given time."""

import copy
from time import perf_counter

from stylekit.training.photos import CropSampler
from stylekit.training.trainer import Trainer

_MEASURED_STEPS = 3


def steps_in(seconds: float, trainer: Trainer, sampler: CropSampler) -> int:
    """Return the number of training steps that take about this long, at least 1.

    The speed is measured over a few steps, after which the trainer is restored to its previous state.

    Args:
        seconds: The time for all steps.
        trainer: The trainer, before its first step.
        sampler: The source of training crops.

    Raises:
        TrainingDiverged: If the loss of a measured step is not finite.
    """
    state = copy.deepcopy(trainer.state())
    trainer.train_step(sampler.batch(0))  # slower than the others, because it allocates memory
    start = perf_counter()
    for step in range(_MEASURED_STEPS):
        trainer.train_step(sampler.batch(step))
    pace = (perf_counter() - start) / _MEASURED_STEPS
    trainer.restore(*state)
    return max(1, round(seconds / pace))
