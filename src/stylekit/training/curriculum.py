"""The curriculum for fresh weights: the network first learns to copy photos, and then gradually learns the style.

If the whole style loss counts from the start, a network paints inverted photos or white blobs, and never recovers.
"""

from dataclasses import dataclass

_MAX_COPIES, _COPYING = 250, 0.15  # limits of the steps that learn to copy: a number, and a share of all steps
_EASING = 0.5  # share of all steps over which the weight of the style loss rises
_FIRST_STYLE = 1 / 3  # share of the weight of the style loss at the beginning of these steps


@dataclass(frozen=True)
class Stage:
    """What the network learns in a training step.

    Attributes:
        copies: Whether the network learns to copy the photo instead of the style.
        style: Factor for the weight of the style loss, 0 to 1.
    """

    copies: bool = False
    style: float = 1.0


def stage(step: int, steps: int) -> Stage:
    """Return what the network learns in a step, if training started from fresh weights.

    Args:
        step: The number of steps taken before.
        steps: The total number of steps.
    """
    copies = min(_MAX_COPIES, round(_COPYING * steps))
    progress = min(1.0, max(0, step - copies) / max(1, _EASING * steps))
    return Stage(copies=step < copies, style=_FIRST_STYLE + (1 - _FIRST_STYLE) * progress)
