"""What of a painting is its style: statistics of activations, and how far two of them are apart, made relative.

Published Gram normalisers differ, which is why style weights never carry over from one program to the next. Here an
error is the ratio of its square to the target's own, so that a weight means the same for every layer, size, loss
network and painting. Ratios are taken per picture and averaged over the batch.
"""

import math
from typing import Any, Protocol

import torch
from torch import Tensor

Statistics = tuple[Tensor, ...]

_GPU_PARTS = 32  # at most, a power of two
TINY = 1e-12  # keeps a ratio finite where the target is zero throughout


def gram_matrix(activations: Tensor, mask: Tensor | None = None, mapping: Tensor | None = None) -> Tensor:
    """Correlations of channels: `G = F Fᵀ / (H·W)`, in float32 or wider whatever the precision around it.

    Of bfloat16 on CUDA, sums over up to 32 parts of the picture are rounded to bfloat16 before they are added up.

    Args:
        activations: `(B, C, H, W)`.
        mask: `(1, 1, H, W)` of 0 or more: how much each place counts; all the same by default.
        mapping: `(C', C)`, a linear map of the channels that comes before; applied to the sums, which are small.

    Returns:
        `(B, C, C)`, of the mapped channels where there is a mapping; symmetric and, but for rounding, positive
        semi-definite.
    """
    wide = torch.promote_types(activations.dtype, torch.float32)
    with torch.autocast(activations.device.type, enabled=False):
        as_it_lies = activations.is_cuda and activations.dtype == torch.bfloat16  # its products there add up in float32
        flat = (activations if as_it_lies else activations.to(wide)).flatten(2)
        places = torch.tensor(flat.shape[2])
        if mask is not None:
            counts = mask.to(wide).flatten(2)
            flat, places = flat * counts.sqrt().to(flat.dtype), counts.sum().clamp_min(TINY)
        product: Tensor = _Product.apply(flat)
        return (product if mapping is None else mapping @ product @ mapping.mT) / places


class _Product(torch.autograd.Function):
    """`F Fᵀ`. Its gradient is one product, where autograd, which knows two factors, would take two and their sum."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor) -> Tensor:
        ctx.save_for_backward(flat)
        parts = flat.reshape(*flat.shape[:2], _parts(flat), -1).transpose(1, 2)
        return (parts @ parts.mT).sum(1, dtype=torch.promote_types(flat.dtype, torch.float32))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (flat,) = ctx.saved_tensors
        both = (gradient + gradient.mT).to(flat.dtype)
        channels_last = flat.stride(1) == 1
        product: Tensor = (flat.mT @ both).mT if channels_last else both @ flat
        return product


def _parts(flat: Tensor) -> int:
    """In how many equal parts places are added up: a small matrix of long sums alone would leave most of a GPU idle."""
    return math.gcd(flat.shape[2], _GPU_PARTS) if flat.is_cuda else 1


def relative_error(value: Tensor, target: Tensor) -> Tensor:
    """`mean((value - target)²) / mean(target²)` per picture, averaged over the batch.

    Args:
        value: `(B, …)`.
        target: `(B, …)` or `(1, …)` of the same shape otherwise.

    Returns:
        A scalar of 0 or more; 0 only where both are equal.
    """
    wide = torch.promote_types(value.dtype, torch.float32)
    value, target = value.to(wide).flatten(1), target.to(wide).flatten(1)
    error = (value - target).square().mean(1)
    return (error / target.square().mean(1).clamp_min(TINY)).mean()


class StyleLoss(Protocol):
    """What of a layer's activations is a style, and how far two such statistics are from each other."""

    def statistics(self, activations: Tensor, mask: Tensor | None = None, mapping: Tensor | None = None) -> Statistics:
        """Summarise activations, without regard to where they are; see `gram_matrix` for the arguments."""
        ...

    def target(self, statistics: Statistics) -> Statistics:
        """Work out once what `distance` needs of a painting's statistics."""
        ...

    def distance(self, statistics: Statistics, target: Statistics) -> Tensor:
        """Return how far a batch's statistics are from a target, relative to it: a scalar of 0 or more."""
        ...


class GramLoss:
    """Gram matrices and their relative squared error (Gatys et al. 2015)."""

    def statistics(self, activations: Tensor, mask: Tensor | None = None, mapping: Tensor | None = None) -> Statistics:
        """See `StyleLoss`."""
        return (gram_matrix(activations, mask, mapping),)

    def target(self, statistics: Statistics) -> Statistics:
        """See `StyleLoss`."""
        return statistics

    def distance(self, statistics: Statistics, target: Statistics) -> Tensor:
        """See `StyleLoss`."""
        return relative_error(*statistics, *target)


class MomentsLoss:
    """Mean and covariance, and the squared Wasserstein-2 distance of the Gaussians that have them.

    `|m - m'|² + tr(C + C' - 2 (C'^½ C C'^½)^½)` (Olkin and Pukelsheim 1982), relative to `|m'|² + tr C'`.
    """

    def statistics(self, activations: Tensor, mask: Tensor | None = None, mapping: Tensor | None = None) -> Statistics:
        """See `StyleLoss`."""
        wide = activations.to(torch.promote_types(activations.dtype, torch.float32)).flatten(2)
        if mask is None:
            mean = wide.sum(2, keepdim=True) / wide.shape[2]  # `mean` would spread its gradient out in memory
        else:
            counts = mask.to(wide.dtype).flatten(2)
            mean = (wide * counts).sum(2, keepdim=True) / counts.sum().clamp_min(TINY)
        if mapping is not None:
            mean = mapping @ mean
        product = gram_matrix(activations, mask, mapping)  # large activations are gone through as is
        return mean, product - mean @ mean.mT

    def target(self, statistics: Statistics) -> Statistics:
        """See `StyleLoss`."""
        mean, covariance = statistics
        values, vectors = _eigh(covariance)
        root = (vectors * values.clamp_min(0).sqrt().unsqueeze(-2)) @ vectors.mT
        return mean, covariance, root

    def distance(self, statistics: Statistics, target: Statistics) -> Tensor:
        """See `StyleLoss`."""
        (mean, covariance), (target_mean, target_covariance, root) = statistics, target
        spreads = [c.diagonal(dim1=-2, dim2=-1).sum(-1) for c in (covariance, target_covariance)]
        shared: Tensor = _TraceOfRoot.apply(root @ covariance @ root)
        error = (mean - target_mean).square().sum((1, 2)) + sum(spreads) - 2 * shared
        return (error.clamp_min(0) / (target_mean.square().sum((1, 2)) + spreads[1]).clamp_min(TINY)).mean()


class _TraceOfRoot(torch.autograd.Function):
    """`tr M^½` of symmetric, positive semi-definite matrices; its gradient, `M^-½ / 2`, bears equal eigenvalues."""

    @staticmethod
    def forward(ctx: Any, matrices: Tensor) -> Tensor:
        values, vectors = _eigh(matrices)
        roots = values.clamp_min(0).sqrt()
        ctx.save_for_backward(roots, vectors)
        trace: Tensor = roots.sum(-1)
        return trace

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        roots, vectors = ctx.saved_tensors
        least = 1e-4 * roots.amax(-1, keepdim=True).clamp_min(TINY)
        inverse = (vectors / roots.maximum(least).unsqueeze(-2)) @ vectors.mT
        result: Tensor = gradient[:, None, None] * inverse / 2
        return result


def _eigh(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of symmetric matrices; by the CPU for MPS, which has not always known them.

    What is not finite counts as zero: it is for others to tell, but no eigenvalues would be an exception.
    """
    finite = matrices.nan_to_num(0, 0, 0)
    values, vectors = torch.linalg.eigh(finite.cpu() if finite.device.type == "mps" else finite)
    return values.to(matrices.device), vectors.to(matrices.device)


STYLE_LOSSES: dict[str, StyleLoss] = {"gram": GramLoss(), "moments": MomentsLoss()}
