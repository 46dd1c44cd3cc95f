"""Padding with which networks that halve an image several times take any size, down to one pixel."""

import torch
from torch import Tensor

from stylekit.networks.shapes import LEAST_SIDE, SIDE_MULTIPLE


def _reflected(size: int, before: int, after: int, device: torch.device) -> Tensor:
    """Return the indices 0 … size-1 with `before` and `after` more, reflected as often as needed."""
    period = max(2 * (size - 1), 1)
    position = torch.arange(-before, size + after, device=device) % period
    return torch.minimum(position, period - position) if size > 1 else position


def pad_to_multiple(image: Tensor, border: int = 0, multiple: int = SIDE_MULTIPLE) -> Tensor:
    """Pad an image by reflection at its right and lower edges until its sides are multiples of a number.

    Args:
        image: `(B, C, H, W)`.
        border: Pixels by which all four edges are padded besides.
        multiple: The number.

    Returns:
        `(B, C, H' + 2 border, W' + 2 border)` with H' and W' the next multiples, at least 8; the same tensor if
        nothing has to be added.
    """
    for dim in (-2, -1):
        size = image.shape[dim]
        missing = max(-(-size // multiple) * multiple, LEAST_SIDE) - size
        if border or missing:
            indices = _reflected(size, border, border + missing, image.device)
            ends = indices[:border], indices[border + size :]  # only the ends are gathered, which is slow
            before, after = (image.index_select(dim, end) for end in ends)
            image = torch.cat([before, image, after], dim)
    return image
