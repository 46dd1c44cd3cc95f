"""Padding that lets a network with two halvings take pictures of any size, down to one pixel."""

import torch
from torch import Tensor

_MULTIPLE = 4  # both networks halve twice
_LEAST = 8  # the smallest side on which all reflection paddings inside the networks are defined


def _reflected(size: int, padded: int, device: torch.device) -> Tensor:
    """Indices that continue 0 … size-1 by reflection, as often as needed, up to `padded` of them."""
    period = max(2 * (size - 1), 1)
    position = torch.arange(padded, device=device) % period
    return torch.minimum(position, period - position) if size > 1 else position


def pad_to_multiple(picture: Tensor) -> Tensor:
    """Continue a picture by reflection at its right and lower side until both sides fit the networks.

    Args:
        picture: `(B, C, H, W)`.

    Returns:
        `(B, C, H', W')` with H' and W' the next multiples of 4, at least 8; the same tensor where nothing is missing.
    """
    height, width = picture.shape[-2:]
    rows, columns = (max(-(-side // _MULTIPLE) * _MULTIPLE, _LEAST) for side in (height, width))
    if rows != height:
        picture = picture.index_select(-2, _reflected(height, rows, picture.device))
    if columns != width:
        picture = picture.index_select(-1, _reflected(width, columns, picture.device))
    return picture
