"""The pooled style loss: many photos together have the painting's style."""

import pytest
import torch

from stylekit.losses.pooled import PooledLoss
from stylekit.losses.style import gram_matrix, relative_error


def prepared(loss, painting):
    return loss.target(loss.mixed([loss.statistics(painting)], [1.0], 1.0))


def test_the_painting_itself_has_no_distance():
    painting = torch.rand(1, 8, 6, 7)
    loss = PooledLoss()
    assert loss.distance(loss.statistics(painting), prepared(loss, painting)).item() == pytest.approx(0, abs=1e-9)


def test_photos_whose_mean_is_the_painting_count_only_by_their_own_share():
    dark, light = torch.full((1, 1, 4, 4), 0.5**0.5), torch.full((1, 1, 4, 4), 1.5**0.5)
    painting = torch.ones(1, 1, 4, 4)
    loss = PooledLoss()
    target = prepared(loss, painting)
    distance = loss.distance(loss.statistics(torch.cat([dark, light])), target)
    assert distance.item() == pytest.approx(0.3 * 0.25)  # each photo is half of the painting's energy away


def test_the_running_mean_starts_from_the_first_photos_and_follows_the_others():
    loss = PooledLoss()
    target = prepared(loss, torch.ones(1, 1, 4, 4))
    light, dark = torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    assert loss.distance(loss.statistics(light), target).item() == 0
    for kept in (0.5, 0.25):
        distance = loss.distance(loss.statistics(dark), target)
        assert loss.means[0].item() == pytest.approx(kept)
        assert distance.item() == pytest.approx((1 - kept) ** 2 + 0.3)
    assert target[0].item() == 1


def test_the_gradient_is_that_of_the_batch_with_the_other_photos_given():
    torch.manual_seed(0)
    painting, photos = torch.rand(1, 3, 5, 5), torch.rand(2, 3, 5, 5, requires_grad=True)
    loss = PooledLoss()
    target = prepared(loss, painting)
    loss.distance(loss.statistics(torch.rand(2, 3, 5, 5)), target)
    before = loss.means[0].clone()
    (gradient,) = torch.autograd.grad(loss.distance(loss.statistics(photos), target), photos)

    grams, wanted = gram_matrix(photos), target[0]
    others = 0.5 * before + 0.5 * grams.mean(0, keepdim=True).detach() - grams.mean(0, keepdim=True).detach()
    expected = relative_error(others + grams.mean(0, keepdim=True), wanted) + 0.3 * relative_error(grams, wanted)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, photos)[0])


def test_processes_share_their_means():
    elsewhere = torch.full((1, 1, 1), 3.0)

    def average(tensors):
        for tensor in tensors:
            tensor.copy_((tensor + elsewhere) / 2)

    loss = PooledLoss(average)
    target = prepared(loss, torch.ones(1, 1, 4, 4))
    loss.distance(loss.statistics(torch.ones(2, 1, 4, 4)), target)
    assert loss.means[0].item() == pytest.approx((1 + 3) / 2)


def test_octaves_and_layers_have_means_of_their_own():
    loss = PooledLoss()
    first, second = prepared(loss, torch.ones(1, 1, 4, 4)), prepared(loss, torch.ones(1, 2, 4, 4))
    loss.distance(loss.statistics(torch.zeros(1, 1, 4, 4)), first)
    assert loss.means[0].item() == 0
    assert loss.means[1].isnan().all()
    assert loss.distance(loss.statistics(torch.ones(1, 2, 4, 4)), second).item() == 0
