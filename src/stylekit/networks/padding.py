"""Pad images of any size, even of a single pixel, for networks that halve an image several times."""

import torch
from torch import Tensor

from stylekit.networks.shapes import MIN_SIDE, SIDE_MULTIPLE


def _reflected(size: int, before: int, after: int, device: torch.device) -> Tensor:
    """Return the indices 0 … size-1, extended at both ends by reflection, if necessary repeatedly."""
    period = max(2 * (size - 1), 1)
    position = torch.arange(-before, size + after, device=device) % period
    return torch.minimum(position, period - position) if size > 1 else position


def pad_to_multiple(image: Tensor, border: int = 0, multiple: int = SIDE_MULTIPLE) -> Tensor:
    """Pad an image by reflection at its right and lower edges until its sides are multiples of a number.

    Args:
        image: `(B, C, H, W)`.
        border: Pixels of additional padding at all four edges.
        multiple: The number that both sides become multiples of.

    Returns:
        `(B, C, H' + 2 border, W' + 2 border)`, where H' and W' are H and W rounded up to multiples, and at least 8; the
        same tensor if no padding is needed.
    """
    for dim in (-2, -1):
        size = image.shape[dim]
        missing = max(-(-size // multiple) * multiple, MIN_SIDE) - size
        if border or missing:
            indices = _reflected(size, border, border + missing, image.device)
            ends = indices[:border], indices[border + size :]  # gathering is slow, so only the ends are gathered
            before, after = (image.index_select(dim, end) for end in ends)
            image = torch.cat([before, image, after], dim)
    return image
