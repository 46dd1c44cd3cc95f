"""The sliced style loss: distributions of features, not only their second moments."""

import pytest
import torch

from stylekit.losses.sliced import SlicedLoss


def distance(loss, image, painting):
    loss.reseed(0)
    target = loss.target(loss.mixed([loss.statistics(painting)], [1.0], 1.0))
    return loss.distance(loss.statistics(image), target)


def test_equal_distributions_in_another_order_have_no_distance():
    activations = torch.rand(1, 8, 6, 7)
    shuffled = activations.flatten(2)[..., torch.randperm(42)].reshape(1, 8, 6, 7)
    assert distance(SlicedLoss(), shuffled, activations).item() == pytest.approx(0, abs=1e-6)


def test_what_gram_matrices_cannot_tell_apart_is_apart():
    """All ones, or twice as much of the square in half of the places: equal second moments."""
    flat = torch.ones(1, 1, 10, 10)
    blobs = torch.zeros(1, 1, 10, 10)
    blobs[..., :5] = 2**0.5
    assert distance(SlicedLoss(gram_share=0), blobs, flat).item() == pytest.approx((1 + (2**0.5 - 1) ** 2) / 2)
    with_gram, without = (distance(SlicedLoss(share), blobs, flat).item() for share in (1.0, 0.0))
    assert with_gram == pytest.approx(without)  # whose own part is zero here


def test_a_scaled_image_is_as_far_as_its_scale_says():
    activations = torch.rand(2, 8, 5, 5)
    assert distance(SlicedLoss(gram_share=0), 1.5 * activations, activations[:1]).item() > 0.2
    near = distance(SlicedLoss(gram_share=0), 1.5 * activations[:1], activations[:1])
    assert near.item() == pytest.approx(0.25, rel=1e-3)


def test_sizes_may_differ_and_large_ones_are_sampled():
    torch.manual_seed(0)
    small, large = torch.rand(1, 4, 9, 9), torch.rand(1, 4, 80, 80)
    assert distance(SlicedLoss(gram_share=0), small, large).item() < 0.05
    assert distance(SlicedLoss(gram_share=0), large, small).item() < 0.05


def test_draws_follow_from_the_seed():
    torch.manual_seed(0)
    image, painting = torch.rand(1, 4, 60, 60), torch.rand(1, 4, 50, 50) ** 2
    loss = SlicedLoss()
    first, again = distance(loss, image, painting), distance(loss, image, painting)
    assert first.item() == again.item()
    loss.reseed(1)
    target = loss.mixed([loss.statistics(painting)], [1.0], 1.0)
    assert loss.distance(loss.statistics(image), target).item() != first.item()


def test_gradients_lead_to_the_paintings_distribution():
    torch.manual_seed(0)
    painting = torch.rand(1, 3, 12, 12) ** 3
    image = torch.rand(1, 3, 12, 12, requires_grad=True)
    loss = SlicedLoss()
    optimizer = torch.optim.Adam([image], 0.02)
    target = loss.mixed([loss.statistics(painting)], [1.0], 1.0)
    distances = []
    for step in range(150):
        loss.reseed(step)
        apart = loss.distance(loss.statistics(image), target)
        optimizer.zero_grad()
        apart.backward()
        optimizer.step()
        distances.append(apart.item())
    assert distances[-1] < distances[0] / 20


def test_paintings_are_mixed_by_their_weights():
    loss = SlicedLoss(gram_share=0)
    loss.reseed(0)
    zeros, ones = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    features, gram = loss.mixed([loss.statistics(zeros), loss.statistics(ones)], [3.0, 1.0], 4.0)
    assert features.mean().item() == pytest.approx(0.25 * 2)  # features grow by the root of the gain
    assert gram.item() == pytest.approx(0.25 * 4)


def test_masks_are_refused():
    with pytest.raises(ValueError, match="masks"):
        SlicedLoss().statistics(torch.rand(1, 2, 4, 4), torch.ones(1, 1, 4, 4))
