"""Padding that lets a network with two halvings take pictures of any size, down to one pixel."""

import torch
from torch import Tensor

from stylekit.networks.shapes import LEAST_SIDE, SIDE_MULTIPLE


def _reflected(size: int, before: int, after: int, device: torch.device) -> Tensor:
    """Indices that continue 0 … size-1 by reflection, as often as needed: `before` in front, `after` behind."""
    period = max(2 * (size - 1), 1)
    position = torch.arange(-before, size + after, device=device) % period
    return torch.minimum(position, period - position) if size > 1 else position


def pad_to_multiple(picture: Tensor, border: int = 0) -> Tensor:
    """Continue a picture by reflection at its right and lower side until both sides fit the networks.

    Args:
        picture: `(B, C, H, W)`.
        border: pixels by which it is continued on all four sides besides; a multiple of 4.

    Returns:
        `(B, C, H' + 2 border, W' + 2 border)` with H' and W' the next multiples of 4, at least 8; the same tensor
        where nothing is missing.
    """
    for dim in (-2, -1):
        size = picture.shape[dim]
        missing = max(-(-size // SIDE_MULTIPLE) * SIDE_MULTIPLE, LEAST_SIDE) - size
        if border or missing:
            indices = _reflected(size, border, border + missing, picture.device)
            ends = indices[:border], indices[border + size :]  # only they are gathered, which is slow
            before, after = (picture.index_select(dim, end) for end in ends)
            picture = torch.cat([before, picture, after], dim)
    return picture
