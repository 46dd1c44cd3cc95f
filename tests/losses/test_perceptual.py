"""Perceptual losses, compared with values computed by hand."""

from typing import Any

import pytest
import torch
from torch import nn

from stylekit.config import gatys as config
from stylekit.config.train import TRAIN_STYLE_LOSSES
from stylekit.losses.perceptual import STYLE_LOSSES_BY_NAME, PerceptualLoss, total_variation
from stylekit.losses.style import MomentsLoss, gram_matrix, relative_error
from stylekit.losses.vgg import VggFeatures


class StandIn(nn.Module):
    """A loss network of two smooth layers in double precision; records its calls."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.low, self.high = nn.Conv2d(3, 4, 3, padding=1).double(), nn.Conv2d(4, 5, 3, padding=1).double()
        self.requires_grad_(False)
        self.maps = {}
        self.calls = []

    def forward(self, image, layers):
        self.calls.append((tuple(image.shape), set(layers)))
        low = torch.tanh(self.low(image))
        return {name: t for name, t in {"low": low, "high": torch.tanh(self.high(low))}.items() if name in layers}


class Mapped(StandIn):
    """The same layers, their channels mapped linearly."""

    def __init__(self, maps):
        super().__init__()
        self.mappings = maps

    def forward(self, image, layers):
        return {
            n: torch.einsum("dc,bchw->bdhw", self.mappings[n], t) for n, t in super().forward(image, layers).items()
        }


@pytest.fixture
def features():
    return StandIn()


@pytest.fixture
def photos():
    return images(2, 8, 10, seed=1)


@pytest.fixture
def painting():
    return images(1, 12, 8, seed=2)


def images(number, height, width, seed):
    return torch.rand(number, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def build_loss(features, painting, **changes):
    settings = {
        "content_layers": ["high"],
        "style_layers": {"low": 1.0, "high": 1.0},
        "content_weight": 1.0,
        "style_weight": 1.0,
        "tv_weight": 1.0,
    }
    loss = PerceptualLoss(features, painting, **{**settings, **changes})
    return lambda image, photo: loss(image, loss.content_of(photo))


def test_gram_matrix_by_hand():
    activations = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # two channels of one row of two pixels
    assert gram_matrix(activations).tolist() == [[[2.5, 5.5], [5.5, 12.5]]]


def test_each_image_of_a_batch_has_its_own_gram_matrix():
    activations = torch.rand(3, 4, 5, 6)
    together = gram_matrix(activations)
    assert together.shape == (3, 4, 4)
    torch.testing.assert_close(together[1:2], gram_matrix(activations[1:2]))


def test_a_repeated_image_has_the_same_gram_matrix():
    activations = torch.rand(1, 4, 5, 6)
    torch.testing.assert_close(gram_matrix(activations.repeat(1, 1, 2, 3)), gram_matrix(activations))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_gram_matrix_summed_in_parts_has_right_gradients(layout, monkeypatch):
    monkeypatch.setattr("stylekit.losses.style._parts", lambda flat: 4)  # as on a GPU
    activations = torch.rand(2, 3, 4, 4, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    by_hand = torch.einsum("bchw,bdhw->bcd", activations, activations) / 16
    torch.testing.assert_close(gram_matrix(activations), by_hand)
    assert torch.autograd.gradcheck(gram_matrix, activations)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gram_matrix_is_in_float32_under_bfloat16_autocast(dtype):
    activations = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0)).to(dtype)
    exact = gram_matrix(activations.double())
    with torch.autocast("cpu", torch.bfloat16):
        assert (activations.flatten(2) @ activations.flatten(2).mT).dtype == torch.bfloat16  # what would have happened
        gram = gram_matrix(activations)
    assert gram.dtype == torch.float32
    torch.testing.assert_close(gram.double(), exact, rtol=1e-5, atol=0)


def test_gram_matrix_keeps_double_precision():
    assert gram_matrix(torch.rand(1, 2, 3, 3, dtype=torch.float64)).dtype == torch.float64


def test_relative_error_is_taken_per_image_and_then_averaged():
    value = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    target = torch.tensor([[2.0, 0.0], [1.0, 1.0]])
    # (1 + 4) / 4 for the first, 2 / 2 for the second; over the whole batch at once it would be 7 / 6.
    assert relative_error(value, target).item() == pytest.approx((1.25 + 1) / 2)


def test_relative_error_takes_one_target_for_the_whole_batch():
    value, target = torch.rand(3, 4, 4), torch.rand(1, 4, 4)
    torch.testing.assert_close(relative_error(value, target), relative_error(value, target.expand(3, 4, 4)))


def test_relative_error_does_not_depend_on_the_scale():
    value, target = torch.rand(2, 5, dtype=torch.float64), torch.rand(2, 5, dtype=torch.float64)
    torch.testing.assert_close(relative_error(300 * value, 300 * target), relative_error(value, target))


def test_relative_error_of_equals_is_zero_even_where_the_target_is_zero():
    assert relative_error(torch.zeros(2, 3), torch.zeros(2, 3)) == 0
    assert relative_error(torch.ones(2, 3), torch.zeros(2, 3)).isfinite()


def test_relative_error_of_bfloat16_values_is_computed_in_float32():
    value, target = (torch.rand(1, 5000, generator=torch.Generator().manual_seed(i)).bfloat16() for i in (0, 1))
    error = relative_error(value, target)
    assert error.dtype == torch.float32
    assert error.item() == pytest.approx(relative_error(value.double(), target.double()).item(), rel=1e-5)


CHECKERBOARD = (torch.arange(6)[:, None] + torch.arange(8)) % 2
RAMP = torch.arange(8).expand(6, 8) / 4


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (CHECKERBOARD, 2),
        (RAMP, 0.25),
        (RAMP.mT, 0.25),
        (torch.full((6, 8), 0.7), 0),
        (torch.tensor([[0, 1, 0, 1]]), 1),
        (torch.tensor([[0], [1], [0]]), 1),
        (torch.tensor([[1]]), 0),
    ],
    ids=["checkerboard", "ramp", "upright ramp", "flat", "row", "column", "pixel"],
)
def test_total_variation_of_known_images(image, expected):
    assert total_variation(image.float().expand(2, 3, -1, -1)).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("function", "shapes"),
    [(gram_matrix, [(2, 3, 4, 5)]), (relative_error, [(2, 3, 4), (1, 3, 4)]), (total_variation, [(2, 3, 4, 5)])],
    ids=["gram_matrix", "relative_error", "total_variation"],
)
def test_gradients_are_right(function, shapes):
    torch.manual_seed(0)
    assert torch.autograd.gradcheck(function, [torch.rand(s, dtype=torch.float64, requires_grad=True) for s in shapes])


@pytest.mark.parametrize("octaves", [1, 2])
def test_gradients_of_the_whole_loss_are_right(features, painting, octaves):
    loss = build_loss(features, painting, content_weight=0.5, style_weight=2.0, tv_weight=0.1, octaves=octaves)
    photo = images(1, 6, 6, seed=1)
    assert torch.autograd.gradcheck(lambda image: loss(image, photo).total, [images(1, 6, 6, 3).requires_grad_()])


def test_losses_of_equal_images_are_zero(features, painting):
    losses = build_loss(features, painting, octaves=2, tv_weight=0.0)(painting, painting)
    assert losses.content == 0
    assert losses.style.item() == pytest.approx(0, abs=1e-20)
    assert losses.tv > 0
    assert losses.total.item() == pytest.approx(0, abs=1e-20)


def test_losses_of_different_images_are_not(features, painting, photos):
    losses = build_loss(features, painting)(photos, photos.flip(-1))
    assert losses.content > 1e-3
    assert losses.style > 1e-3


def test_the_total_is_the_weighted_sum_of_its_parts(features, painting, photos):
    losses = build_loss(features, painting, content_weight=2.0, style_weight=30.0, tv_weight=0.5)(
        photos, photos.flip(-1)
    )
    torch.testing.assert_close(losses.tv, total_variation(photos))
    torch.testing.assert_close(losses.total, 2 * losses.content + 30 * losses.style + losses.tv / 2)


def test_content_is_the_relative_error_averaged_over_its_layers(features, painting, photos):
    losses = build_loss(features, painting, content_layers=["low", "high"])(photos, photos.flip(-1))
    theirs, ours = (features(x, {"low", "high"}) for x in (photos, photos.flip(-1)))
    low, high = (relative_error(theirs[name], ours[name]) for name in ("low", "high"))
    torch.testing.assert_close(losses.content, (low + high) / 2)


@pytest.mark.parametrize("scale", [1, 10])
def test_style_is_averaged_over_its_layers_with_their_weights(features, painting, photos, scale):
    low, high = (
        build_loss(features, painting, style_layers={name: 5.0})(photos, photos).style for name in ("low", "high")
    )
    both = build_loss(features, painting, style_layers={"low": 3.0 * scale, "high": 1.0 * scale})(photos, photos).style
    assert abs(low - high) > 1e-3
    torch.testing.assert_close(both, (3 * low + high) / 4)


def test_style_is_the_relative_error_of_gram_matrices(features, painting, photos):
    style = build_loss(features, painting, style_layers={"low": 1.0})(photos, photos).style
    grams = [gram_matrix(features(x, {"low"})["low"]) for x in (photos, painting)]
    torch.testing.assert_close(style, relative_error(*grams))


def test_octaves_average_the_style_of_the_image_and_of_its_halves(features, painting, photos):
    def halved(image):
        return nn.functional.avg_pool2d(image, 2)

    full = build_loss(features, painting)(photos, photos).style
    half = build_loss(features, halved(painting))(halved(photos), halved(photos)).style
    quarter = build_loss(features, halved(halved(painting)))(halved(halved(photos)), halved(halved(photos))).style
    assert len({round(style.item(), 6) for style in (full, half, quarter)}) == 3
    torch.testing.assert_close(build_loss(features, painting, octaves=2)(photos, photos).style, (full + half) / 2)
    losses = build_loss(features, painting, octaves=3)(photos, photos)
    torch.testing.assert_close(losses.style, (full + half + quarter) / 3)


def test_octaves_leave_content_and_total_variation_alone(features, painting, photos):
    one, two = (build_loss(features, painting, octaves=n)(photos, photos.flip(-1)) for n in (1, 2))
    assert (one.content, one.tv) == (two.content, two.tv)


def test_the_painting_is_computed_once_and_the_photo_without_its_style(features, painting, photos):
    loss = build_loss(features, painting, content_layers=["low"], style_layers={"high": 1.0}, octaves=2)
    assert features.calls == [((1, 3, 12, 8), {"high"}), ((1, 3, 6, 4), {"high"})]
    for _ in range(2):
        features.calls.clear()
        loss(photos, photos)
        assert features.calls == [
            ((2, 3, 8, 10), {"low"}),
            ((2, 3, 8, 10), {"low", "high"}),
            ((2, 3, 4, 5), {"high"}),
        ]


def test_gradients_flow_to_the_image_and_neither_to_photo_nor_painting(features, painting, photos):
    image = photos.flip(-1).requires_grad_()
    photos.requires_grad_()
    painting.requires_grad_()
    build_loss(features, painting)(image, photos).total.backward()
    assert image.grad.abs().sum() > 0
    assert photos.grad is None
    assert painting.grad is None


def test_an_image_is_nearest_in_style_to_itself_for_vgg_too(vgg_weights):
    weights = {name: torch.from_numpy(array) for name, array in vgg_weights.items()}
    layers = {"relu1_1": 1.0, "relu3_1": 1.0}
    torch.manual_seed(0)
    painting = torch.rand(1, 3, 24, 32)
    criterion = build_loss(
        VggFeatures({*layers, "relu3_3"}, weights), painting, content_layers=["relu3_3"], style_layers=layers, octaves=2
    )
    itself, brighter = (criterion(image, painting) for image in (painting, painting * 0.5 + 0.5))
    assert itself.content == 0
    assert itself.style < 1e-9
    assert brighter.style > 1e-2
    assert brighter.content > 1e-2


@pytest.mark.parametrize("calibrated", [False, True], ids=["", "calibrated"])
@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.parametrize("style_loss", config.STYLE_LOSSES)
def test_a_loss_networks_maps_give_the_losses_of_mapped_activations(photos, painting, style_loss, masked, calibrated):
    random = torch.Generator().manual_seed(3)
    shapes = {"low": (4, 4), "high": (7, 5)}
    maps = {name: torch.randn(shape, generator=random, dtype=torch.float64) for name, shape in shapes.items()}
    raw = StandIn()
    raw.maps = maps
    networks: list[Any] = [raw, Mapped(maps)]
    mask = torch.rand(1, 1, 8, 10, generator=random, dtype=torch.float64) if masked else None
    totals = []
    for features in networks:
        loss = PerceptualLoss(
            features,
            painting,
            content_layers=["high"],
            style_layers={"low": 1.0, "high": 1.0},
            content_weight=1.0,
            style_weight=1.0,
            tv_weight=1.0,
            style_loss=style_loss,
            mask=mask,
        )
        if calibrated:
            loss.calibrate([photos])
        totals.append(loss(photos.flip(0), loss.content_of(photos)).total)
    torch.testing.assert_close(*totals)
    assert totals[0] > 1


def test_a_mask_weights_positions_in_the_gram_matrix():
    activations = torch.rand(2, 3, 4, 6, dtype=torch.float64)
    left = torch.zeros(1, 1, 4, 6, dtype=torch.float64)
    left[..., :2] = 1
    torch.testing.assert_close(gram_matrix(activations, left), gram_matrix(activations[..., :2]))
    torch.testing.assert_close(gram_matrix(activations, 0.3 * torch.ones_like(left)), gram_matrix(activations))


def test_only_the_masked_part_of_an_image_has_style(features, painting):
    mask = torch.zeros(1, 1, 8, 10, dtype=torch.float64)
    mask[..., :4] = 1
    loss = build_loss(features, painting, style_layers={"low": 1.0}, mask=mask)
    one, other = (images(1, 8, 10, seed) for seed in (3, 4))
    joined = torch.cat([one[..., :6], other[..., 6:]], dim=3)  # one column more, which the convolution sees
    torch.testing.assert_close(loss(one, one).style, loss(joined, one).style)
    assert not torch.isclose(
        loss(one, one).style, build_loss(features, painting, style_layers={"low": 1.0})(one, one).style
    )


def several(features, *paintings, **changes):
    """Return the style loss of an image against several paintings, as a function."""
    settings = {"content_layers": ["high"], "style_layers": {"low": 1.0, "high": 1.0}}
    weights = {"content_weight": 1.0, "style_weight": 1.0, "tv_weight": 1.0}
    loss = PerceptualLoss(features, *paintings, **{**settings, **weights, **changes})
    return lambda image: loss(image, loss.content_of(image)).style


@pytest.mark.parametrize("style_loss", ["gram", "moments"])
def test_paintings_count_by_their_weights(style_loss, features, painting):
    other, image = images(1, 9, 7, seed=5), images(1, 8, 8, seed=6)
    alone = several(features, painting, style_loss=style_loss)(image)
    first = several(features, painting, other, painting_weights=(2, 0), style_loss=style_loss)(image)
    equal = several(features, painting, other, style_loss=style_loss)(image)
    same = several(features, painting, other, painting_weights=(3, 3), style_loss=style_loss)(image)
    torch.testing.assert_close(first, alone)
    torch.testing.assert_close(equal, same)
    assert not torch.isclose(equal, alone)


def test_gram_matrices_of_paintings_are_averaged(features):
    one, other = images(1, 8, 8, seed=5), images(1, 8, 8, seed=6)
    side_by_side = {name: torch.cat([features(p, [name])[name] for p in (one, other)], 3) for name in ("low", "high")}
    loss = PerceptualLoss(
        features,
        one,
        other,
        content_layers=["low"],
        style_layers={"low": 1.0, "high": 1.0},
        content_weight=0,
        style_weight=1,
        tv_weight=0,
    )
    for name, activations in side_by_side.items():
        torch.testing.assert_close(loss.targets[0][name][0], gram_matrix(activations))


def test_paintings_statistics_are_raised_layer_by_layer(features, painting):
    plain, raised = (
        PerceptualLoss(
            features,
            painting,
            content_layers=["low"],
            style_layers={"low": 1.0, "high": 1.0},
            content_weight=0,
            style_weight=1,
            tv_weight=0,
            style_gains=gains,
        ).targets[0]
        for gains in ({}, {"high": 1.25})
    )
    torch.testing.assert_close(raised["low"], plain["low"])
    torch.testing.assert_close(raised["high"][0], 1.25 * plain["high"][0])


def test_calibrated_content_losses_have_one_measure_for_all_photos(features, painting, photos):
    loss = PerceptualLoss(
        features,
        painting,
        content_layers=["low", "high"],
        style_layers={"low": 1.0},
        content_weight=1.0,
        style_weight=1.0,
        tv_weight=1.0,
    )
    measure = images(3, 8, 10, seed=7)
    loss.calibrate(list(measure.split(1)))
    image = images(2, 8, 10, seed=8)
    layers = ("low", "high")
    wanted, found, energies = (features(batch, layers) for batch in (photos, image, measure))
    expected = [(found[n] - wanted[n]).square().mean() / energies[n].square().mean() for n in layers]
    calibrated = loss(image, loss.content_of(photos)).content
    torch.testing.assert_close(calibrated, torch.stack(expected).mean(), rtol=1e-5, atol=0, check_dtype=False)


def test_the_style_losses_are_those_of_the_settings():
    assert {*config.STYLE_LOSSES, *TRAIN_STYLE_LOSSES} == {*STYLE_LOSSES_BY_NAME, "pooled"}


def distance(activations, target, mask=None):
    """Return the distance of moments between two sets of activations."""
    loss = MomentsLoss()
    return loss.distance(loss.statistics(activations, mask), loss.target(loss.statistics(target)))


def test_moments_of_one_channel_by_hand():
    value = torch.tensor([[[[1.0, 3.0]]]], dtype=torch.float64)  # mean 2, deviation 1
    target = torch.tensor([[[[1.0, 9.0]]]], dtype=torch.float64)  # mean 5, deviation 4
    # (2 - 5)² + (1 - 4)², relative to 5² + 4².
    assert distance(value, target).item() == pytest.approx(18 / 41)


def test_moments_see_correlations_that_means_and_variances_do_not():
    target = torch.tensor([[[[1.0, -1.0, 1.0, -1.0]], [[1.0, -1.0, -1.0, 1.0]]]], dtype=torch.float64)
    turned = torch.tensor([[[[1.0, -1.0, 1.0, -1.0]], [[1.0, -1.0, 1.0, -1.0]]]], dtype=torch.float64)
    assert distance(target, target).item() == pytest.approx(0, abs=1e-12)
    # Covariances I and [[1, 1], [1, 1]]: 2 + 2 - 2 √2, relative to 2.
    assert distance(turned, target).item() == pytest.approx(2 - 2**0.5)


def test_moments_pass_gradients_also_where_eigenvalues_are_equal():
    target = torch.randn(1, 4, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    value = torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v: distance(v, target), [value.requires_grad_()])
    white = torch.zeros(1, 4, 2, 4, dtype=torch.float64)
    white[0, range(4), 0, range(4)] = 2.0
    white.requires_grad_()
    distance(white, target).backward()
    assert white.grad is not None
    assert white.grad.isfinite().all()


def test_moments_take_a_mask():
    activations = torch.rand(1, 3, 4, 6, dtype=torch.float64)
    mask = torch.zeros(1, 1, 4, 6, dtype=torch.float64)
    mask[..., 2:] = 0.7
    for part, whole in zip(
        MomentsLoss().statistics(activations, mask),
        MomentsLoss().statistics(activations[..., 2:]),
        strict=True,
    ):
        torch.testing.assert_close(part, whole)
