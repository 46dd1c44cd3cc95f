"""Style as statistics of activations, and relative distances between them.

Published normalizations of Gram matrices differ, so style weights do not carry over from one program to another. Here,
a distance is a squared error relative to the target's mean square, so that a weight means the same for every layer,
size, loss network and painting. Ratios are taken per image and averaged over the batch.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

StyleStatistics = tuple[Tensor, ...]

TINY = 1e-12  # keeps ratios finite if the target is zero everywhere
_MAX_GPU_PARTS = 32  # a power of two


def gram_matrix(activations: Tensor, mask: Tensor | None = None, mapping: Tensor | None = None) -> Tensor:
    """Return the correlations of channels, `G = F Fᵀ / (H·W)`, in float32 or wider even under autocast.

    For bfloat16 on CUDA, partial sums over up to 32 parts of the image are rounded to bfloat16.

    Args:
        activations: `(B, C, H, W)`.
        mask: `(1, 1, H, W)`, 0 or more: the weight of each position; 1 everywhere by default.
        mapping: `(C', C)`, a linear map of the channels; applied to the sums, because they are smaller than the
            activations.

    Returns:
        `(B, C, C)`, or `(B, C', C')` with a mapping; symmetric and, up to rounding, positive semi-definite.
    """
    wide = torch.promote_types(activations.dtype, torch.float32)
    with torch.autocast(activations.device.type, enabled=False):
        sums_in_float32 = activations.is_cuda and activations.dtype == torch.bfloat16  # as CUDA's matrix products do
        flat = (activations if sums_in_float32 else activations.to(wide)).flatten(2)
        total = torch.tensor(flat.shape[2])
        if mask is not None:
            position_weights = mask.to(wide).flatten(2)
            flat, total = flat * position_weights.sqrt().to(flat.dtype), position_weights.sum().clamp_min(TINY)
        product: Tensor = _Product.apply(flat)
        return (product if mapping is None else mapping @ product @ mapping.mT) / total


class _Product(torch.autograd.Function):
    """`F Fᵀ`, whose gradient takes one matrix product; autograd would compute one for each of the two factors."""

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
    """Return the number of equal parts into which to split long sums, to keep a GPU busy with a small matrix."""
    return math.gcd(flat.shape[2], _MAX_GPU_PARTS) if flat.is_cuda else 1


def relative_error(value: Tensor, target: Tensor) -> Tensor:
    """Return `mean((value - target)²) / mean(target²)` per image, averaged over the batch.

    Args:
        value: `(B, …)`.
        target: `(B, …)`, or `(1, …)` for a whole batch.

    Returns:
        A scalar of 0 or more; 0 only if both are equal.
    """
    wide = torch.promote_types(value.dtype, torch.float32)
    value, target = value.to(wide).flatten(1), target.to(wide).flatten(1)
    error = (value - target).square().mean(1)
    return (error / target.square().mean(1).clamp_min(TINY)).mean()


def weighted_mean(each: Sequence[StyleStatistics], weights: Sequence[float], gain: float) -> StyleStatistics:
    """Return the weighted mean of several statistics, tensor by tensor, multiplied by a gain."""
    share = gain / sum(weights)
    return tuple(
        sum((weight * part for weight, part in zip(weights, parts, strict=True)), torch.zeros_like(parts[0])) * share
        for parts in zip(*each, strict=True)
    )


class StyleLoss(Protocol):
    """A definition of style: statistics of a layer's activations, and the distance between two of them."""

    def statistics(
        self, activations: Tensor, mask: Tensor | None = None, mapping: Tensor | None = None
    ) -> StyleStatistics:
        """Summarize activations regardless of position; see `gram_matrix` for the arguments."""
        ...

    def mixed(self, each: Sequence[StyleStatistics], weights: Sequence[float], gain: float) -> StyleStatistics:
        """Return the paintings' statistics combined by weight, as if all features were multiplied by `√gain`."""
        ...

    def target(self, statistics: StyleStatistics) -> StyleStatistics:
        """Return a painting's statistics as `distance` takes them, including everything that can be precomputed."""
        ...

    def distance(self, statistics: StyleStatistics, target: StyleStatistics) -> Tensor:
        """Return the distance of a batch's statistics from a target, relative to the target: a scalar of 0 or more."""
        ...


class GramLoss:
    """Gram matrices, and their relative squared error (Gatys et al. 2015)."""

    def statistics(
        self, activations: Tensor, mask: Tensor | None = None, mapping: Tensor | None = None
    ) -> StyleStatistics:
        """See `StyleLoss`."""
        return (gram_matrix(activations, mask, mapping),)

    def mixed(self, each: Sequence[StyleStatistics], weights: Sequence[float], gain: float) -> StyleStatistics:
        """See `StyleLoss`."""
        return weighted_mean(each, weights, gain)

    def target(self, statistics: StyleStatistics) -> StyleStatistics:
        """See `StyleLoss`."""
        return statistics

    def distance(self, statistics: StyleStatistics, target: StyleStatistics) -> Tensor:
        """See `StyleLoss`."""
        return relative_error(*statistics, *target)


class MomentsLoss:
    """Mean and covariance, and the squared Wasserstein-2 distance of the Gaussians with these moments.

    `|m - m'|² + tr(C + C' - 2 (C'^½ C C'^½)^½)` (Olkin and Pukelsheim 1982), relative to `|m'|² + tr C'`.
    """

    def statistics(
        self, activations: Tensor, mask: Tensor | None = None, mapping: Tensor | None = None
    ) -> StyleStatistics:
        """See `StyleLoss`."""
        wide = activations.to(torch.promote_types(activations.dtype, torch.float32)).flatten(2)
        if mask is None:
            mean = wide.sum(2, keepdim=True) / wide.shape[2]  # the gradient of `mean` would be a full-size tensor
        else:
            position_weights = mask.to(wide.dtype).flatten(2)
            mean = (wide * position_weights).sum(2, keepdim=True) / position_weights.sum().clamp_min(TINY)
        if mapping is not None:
            mean = mapping @ mean
        product = gram_matrix(activations, mask, mapping)  # of the raw activations: centering would copy them
        return mean, product - mean @ mean.mT

    def mixed(self, each: Sequence[StyleStatistics], weights: Sequence[float], gain: float) -> StyleStatistics:
        """See `StyleLoss`."""
        return weighted_mean(each, weights, gain)

    def target(self, statistics: StyleStatistics) -> StyleStatistics:
        """See `StyleLoss`."""
        mean, covariance = statistics
        values, vectors = _eigh(covariance)
        root = (vectors * values.clamp_min(0).sqrt().unsqueeze(-2)) @ vectors.mT
        return mean, covariance, root

    def distance(self, statistics: StyleStatistics, target: StyleStatistics) -> Tensor:
        """See `StyleLoss`."""
        (mean, covariance), (target_mean, target_covariance, root) = statistics, target
        spreads = [c.diagonal(dim1=-2, dim2=-1).sum(-1) for c in (covariance, target_covariance)]
        shared: Tensor = _TraceOfRoot.apply(root @ covariance @ root)
        error = (mean - target_mean).square().sum((1, 2)) + sum(spreads) - 2 * shared
        return (error.clamp_min(0) / (target_mean.square().sum((1, 2)) + spreads[1]).clamp_min(TINY)).mean()


class _TraceOfRoot(torch.autograd.Function):
    """`tr M^½` of symmetric positive semi-definite matrices, with a valid gradient even for equal eigenvalues."""

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
    """Return the eigenvalues and eigenvectors of symmetric matrices.

    Those on MPS are computed on the CPU, because old versions of torch fail on MPS. Values that are not finite are
    replaced by zero, because `eigh` would raise an error; the loss still becomes non-finite through other terms.
    """
    finite = matrices.nan_to_num(0, 0, 0)
    values, vectors = torch.linalg.eigh(finite.cpu() if finite.device.type == "mps" else finite)
    return values.to(matrices.device), vectors.to(matrices.device)
