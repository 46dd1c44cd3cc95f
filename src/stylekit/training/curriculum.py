"""What fresh weights learn, and when: to copy photos first, and then the style, little by little.

A network that is asked for all of a style at once paints inverted photos, or white blobs, and stays there.
"""

from dataclasses import dataclass

_MOST_COPIES, _COPYING = 250, 0.15  # steps, and share of all steps
_EASING = 0.5  # share of all steps in which the style comes in
_FIRST_STYLE = 1 / 3  # share of the style's weight at their beginning


@dataclass(frozen=True)
class Stage:
    """What counts in a step.

    Attributes:
        copies: Whether the network learns to copy the photo instead of the style.
        style: Share of the style loss's weight, 0 to 1.
        gram: Share of the Gram error in the sliced style loss, relative to its own, 0 to 1.
    """

    copies: bool = False
    style: float = 1.0
    gram: float = 1.0


def stage(step: int, steps: int) -> Stage:
    """Return what counts in a step of a training from fresh weights.

    Args:
        step: The steps taken before it.
        steps: All steps of the training.
    """
    copies = min(_MOST_COPIES, round(_COPYING * steps))
    progress = min(1.0, max(0, step - copies) / max(1, _EASING * steps))
    return Stage(
        copies=step < copies,
        style=_FIRST_STYLE + (1 - _FIRST_STYLE) * progress,
        gram=max(0.0, 2 * progress - 1),
    )
