"""`gatys`: what is optimized, in which steps, and the result."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

from stylekit.config.gatys import GatysConfig
from stylekit.errors import ConfigError, ImageError, OutOfMemory, TrainingDiverged
from stylekit.images.reading import as_photo
from stylekit.losses.perceptual import Losses
from stylekit.optimization.optimize import gatys
from stylekit.optimization.optimizers import Adam, Lbfgs
from stylekit.optimization.scales import GatysReport, StepCounter, largest_side

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _few_scales(monkeypatch):
    monkeypatch.setattr("stylekit.optimization.scales._SHORTEST_LONG_SIDE", 24)


@pytest.fixture
def config(tmp_path, vgg_weights):
    """Settings for a run of a fraction of a second: scales of 24 and 48 px."""
    save_file(vgg_weights, tmp_path / "vgg.safetensors")
    return GatysConfig(
        size=48,
        steps=4,
        content_layers=("relu2_1",),
        style_layers={"relu1_1": 1.0, "relu2_1": 1.0},
        style_loss="gram",  # less sensitive to single precision's rounding
        loss_weights=str(tmp_path / "vgg.safetensors"),
        device="cpu",
    )


@pytest.fixture
def photo(make_photo):
    return make_photo(48, 40, seed=1)


@pytest.fixture
def painting(make_photo):
    return make_photo(64, 50, seed=2)


@pytest.fixture
def other(make_photo):
    return Image.fromarray(255 - np.asarray(make_photo(50, 60, seed=3)))


def pixels(image):
    return np.asarray(image).astype(int)


def test_the_result_has_the_photos_size_and_takes_on_the_paintings_style(photo, painting, config):
    reports: list[GatysReport] = []
    image = gatys(photo, painting, config, on_step=reports.append)
    assert image.size == photo.size
    assert image.mode == "RGB"
    last = [report for report in reports if report.scale == 2]
    assert last[-1].total < last[0].total


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_scales_go_from_coarse_to_fine_and_every_step_is_reported(optimizer, photo, painting, config):
    reports: list[GatysReport] = []
    gatys(photo, painting, dataclasses.replace(config, optimizer=optimizer), on_step=reports.append)
    sizes = [(report.width, report.height) for report in reports]
    assert [size for size, _ in itertools.groupby(sizes)] == [(24, 20), (48, 40)]
    assert [(report.step, report.steps) for report in reports] == [(1, 2), (2, 2), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert {report.scales for report in reports} == {2}
    done = [report.done for report in reports]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1)
    assert done[1] == pytest.approx(24 * 20 * 2 / (24 * 20 * 2 + 48 * 40 * 4))


def test_a_scale_starts_from_the_previous_one(photo, painting, config):
    """At its first step the second scale's image is not the photo, whose content loss is 0."""
    reports: list[GatysReport] = []
    gatys(photo, painting, config, on_step=reports.append)
    first = [report for report in reports if report.step == 1]
    assert first[0].content == pytest.approx(0, abs=1e-6)
    assert first[1].content > 0.01


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("style_loss", ["gram", "moments"])
@pytest.mark.parametrize("init", ["content", "noise", "style"])
def test_the_same_seed_gives_the_same_image(init, style_loss, optimizer, photo, painting, config):
    config = dataclasses.replace(config, init=init, style_loss=style_loss, optimizer=optimizer)
    assert np.array_equal(pixels(gatys(photo, painting, config)), pixels(gatys(photo, painting, config)))


def test_another_seed_gives_another_image_from_noise(photo, painting, config):
    one, two = (gatys(photo, painting, dataclasses.replace(config, init="noise", seed=seed)) for seed in (1, 2))
    assert not np.array_equal(pixels(one), pixels(two))


def test_the_optimization_can_start_from_a_file(photo, painting, other, config, tmp_path):
    other.save(tmp_path / "start.png")
    reports: list[GatysReport] = []
    gatys(photo, painting, dataclasses.replace(config, init=str(tmp_path / "start.png")), on_step=reports.append)
    assert reports[0].content > 0.1


@pytest.mark.parametrize("style_loss", ["gram", "moments"])
def test_a_painting_with_weight_zero_changes_nothing(style_loss, photo, painting, other, config):
    config = dataclasses.replace(config, style_loss=style_loss)
    alone = gatys(photo, painting, config)
    both = gatys(photo, [painting, other], dataclasses.replace(config, painting_weights=(1, 0)))
    assert np.array_equal(pixels(alone), pixels(both))
    equal = gatys(photo, [painting, other], config)
    assert not np.array_equal(pixels(alone), pixels(equal))


def test_only_the_ratio_of_the_paintings_weights_matters(photo, painting, other, config):
    one, two = (
        gatys(photo, [painting, other], dataclasses.replace(config, painting_weights=weights))
        for weights in ((1.0, 3.0), (2.0, 6.0))
    )
    assert np.abs(pixels(one) - pixels(two)).max() <= 1


def test_the_photo_stays_where_the_mask_is_black(photo, painting, config):
    mask = Image.new("L", photo.size, 0)
    mask.paste(255, (24, 0, 48, 40))
    image = gatys(photo, painting, config, mask=mask)
    change = np.abs(pixels(image) - pixels(photo)).max(2)
    assert change[:, :20].max() == 0
    assert change[:, 28:].max() > 5


def test_an_entirely_white_mask_changes_nothing(photo, painting, config):
    mask = Image.new("L", photo.size, 255)
    with_mask, without = (gatys(photo, painting, config, mask=m) for m in (mask, None))
    assert np.abs(pixels(with_mask) - pixels(without)).max() <= 1


def test_a_mask_of_another_size_is_rejected(photo, painting, config):
    with pytest.raises(ImageError, match="Mask and photo differ in size: 10 x 40 px and 48 x 40 px"):
        gatys(photo, painting, config, mask=Image.new("L", (10, 40)))


def test_the_photo_is_decoded_once_with_a_mask(make_photo, painting, config, tmp_path, monkeypatch):
    make_photo(96, 80).save(tmp_path / "photo.png")
    Image.new("L", (96, 80), 255).save(tmp_path / "mask.png")
    paths: list[Path] = []
    notes: list[str] = []

    def read(image, **limits):
        paths.append(image)
        return as_photo(image, **limits)

    monkeypatch.setattr("stylekit.optimization.optimize.as_photo", read)
    image = gatys(tmp_path / "photo.png", painting, config, mask=tmp_path / "mask.png", on_note=notes.append)
    assert [path.name for path in paths] == ["photo.png", "mask.png"]
    assert (image.size, notes) == ((48, 40), ["painting at 48 x 40 px; use --size to change that"])
    without = gatys(tmp_path / "photo.png", painting, config)
    assert np.abs(pixels(image) - pixels(without)).max() <= 1


def test_kept_colors_are_the_photos(photo, other, config):
    def chroma(image):
        return pixels(image) - pixels(image) @ [[0.299] * 3, [0.587] * 3, [0.114] * 3]

    kept, painted = (gatys(photo, other, dataclasses.replace(config, keep_colors=keep)) for keep in (True, False))
    assert np.abs(chroma(kept) - chroma(photo)).mean() < 2
    assert np.abs(chroma(painted) - chroma(photo)).mean() > 4


def test_a_larger_photo_is_reduced_and_a_smaller_one_keeps_its_size(make_photo, painting, config):
    assert gatys(make_photo(96, 80), painting, config).size == (48, 40)
    assert gatys(make_photo(30, 20), painting, config).size == (30, 20)


def test_transparency_and_metadata_are_kept(photo, painting, config, tmp_path):
    photo.putalpha(Image.linear_gradient("L").resize(photo.size))
    exif = Image.Exif()
    exif[0x010E] = "a lion"
    photo.save(tmp_path / "photo.png", exif=exif)
    image = gatys(tmp_path / "photo.png", painting, config)
    assert image.mode == "RGBA"
    assert np.array_equal(np.asarray(image)[..., 3], np.asarray(photo)[..., 3])
    assert b"a lion" in image.info["exif"]


def test_intermediate_images_come_as_often_as_asked_for_and_at_full_size(photo, painting, config):
    images: list[Image.Image] = []
    gatys(photo, painting, dataclasses.replace(config, save_every=2), on_image=images.append)
    assert [image.size for image in images] == [photo.size] * 3  # after 2, 4 and 6 of 6 steps


def test_an_interruption_returns_the_image_so_far(photo, painting, config):
    images: list[Image.Image] = []
    steps = itertools.count(1)

    def interrupt(report):
        if next(steps) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gatys(photo, painting, config, on_step=interrupt, on_image=images.append)
    assert [image.size for image in images] == [photo.size]
    assert not np.array_equal(pixels(images[0]), pixels(photo))


def test_layers_missing_from_the_loss_weights_are_noted_once(photo, painting, config):
    notes: list[str] = []
    gatys(photo, painting, dataclasses.replace(config, content_layers=(), style_layers={}), on_note=notes.append)
    assert notes == ["The loss network ends at relu3_3: content at relu3_3, style up to relu3_1."]
    notes.clear()
    gatys(photo, painting, config, on_note=notes.append)
    assert notes == []


def test_a_painting_of_which_nothing_is_visible_is_rejected(photo, config):
    with pytest.raises(ImageError, match="fully transparent"):
        gatys(photo, Image.new("RGBA", (64, 64)), config)


@pytest.mark.parametrize(("size", "what"), [((8, 30), "painting"), ((30, 8), "painting"), ((10, 48), "photo")])
def test_images_that_are_too_small_are_rejected(size, what, photo, painting, make_photo, config):
    small = make_photo(*size)
    photo, painting = (small, painting) if what == "photo" else (photo, small)
    with pytest.raises(ImageError, match=f"The {what} is too small: {size[0]} x {size[1]} px"):
        gatys(photo, painting, config)


@pytest.mark.parametrize(
    ("number", "weights", "message"),
    [
        (0, (), "No painting"),
        (1, (1.0, 2.0), "--style-weights .* not 2"),
        (2, (1.0,), "--style-weights .* not 1"),
    ],
)
def test_paintings_and_weights_must_match(number, weights, message, photo, painting, config):
    with pytest.raises(ConfigError, match=message):
        gatys(photo, [painting] * number, dataclasses.replace(config, painting_weights=weights))


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("size", 0, "--size must be 16 or more"),
        ("steps", 0, "--steps must be 1 or more"),
        ("optimizer", "sgd", "--optimizer must be lbfgs or adam, not 'sgd'"),
        ("style_loss", "mean", "--style-loss must be gram or moments"),
        ("pooling", "min", "--pooling must be max or avg"),
        ("style_weight", float("nan"), "--style-weight must be 0 or more, not nan"),
        ("style_scale", 0.0, "--style-scale must be between 0.1 and 10"),
        ("painting_weights", (0.0, 0.0), "not all 0"),
        ("painting_weights", (-1.0, 2.0), "0 or more"),
        ("content_layers", ("relu9_1",), "no layer 'relu9_1'"),
        ("style_layers", {"relu1_1": -1.0}, "0 or more"),
    ],
)
def test_settings_out_of_range_are_rejected(setting, value, message):
    with pytest.raises(ConfigError, match=message):
        GatysConfig(**{setting: value})


def test_running_out_of_memory_names_a_size_that_fits(photo, painting, config, monkeypatch):
    run = Lbfgs.run

    def limited(self, objective, steps, on_step):
        if max(self.image.shape) > 40:
            raise MemoryError
        run(self, objective, steps, on_step)

    monkeypatch.setattr(Lbfgs, "run", limited)
    so_far: list[Image.Image] = []
    with pytest.raises(OutOfMemory) as caught:
        gatys(photo, painting, config, on_image=so_far.append)
    assert caught.value.hint == "--size 24 would fit."
    assert [image.size for image in so_far] == [photo.size]


def test_the_largest_size_that_fits_is_estimated_from_the_memory_of_another():
    assert largest_side(512, peak=1000, room=16_000, below=8192) == int(512 * (0.9 * 16) ** 0.5)
    assert largest_side(512, peak=1000, room=1_000_000, below=1024) == 1023  # less than what has just failed
    assert largest_side(512, peak=1000, room=100, below=1024) == 512  # at least what has fitted


def test_large_images_do_not_starve_their_coarse_scales():
    sizes = [(96 * 2**scale, 128 * 2**scale) for scale in range(6)]
    assert StepCounter(sizes, 100).steps == [25, 25, 25, 25, 50, 100]


def test_the_image_so_far_is_the_best_so_far(photo, painting, config, monkeypatch):
    """A line search also tries worse images; an interruption must not return one of them."""

    def run(self, objective, steps, on_step):
        for total, gray in [(5.0, 0.1), (3.0, 0.5), (4.0, 0.9)]:
            self._start = torch.full_like(self._start, gray)
            on_step(Losses(*(torch.tensor(total),) * 4))
        raise KeyboardInterrupt

    monkeypatch.setattr(Lbfgs, "run", run)
    so_far: list[Image.Image] = []
    with pytest.raises(KeyboardInterrupt):
        gatys(photo, painting, config, on_image=so_far.append)
    assert pixels(so_far[-1]).mean() == pytest.approx(127.5, abs=1)


def test_losses_that_are_not_finite_end_it(photo, painting, config, monkeypatch):
    monkeypatch.setattr("stylekit.losses.perceptual.total_variation", lambda image: image.sum() * float("nan"))
    with pytest.raises(TrainingDiverged, match="no longer finite"):
        gatys(photo, painting, config)


def test_loss_weights_that_explode_end_it(photo, painting, config, vgg_weights, tmp_path):
    name = "features.2.weight"
    save_file({**vgg_weights, name: np.full_like(vgg_weights[name], np.inf)}, tmp_path / "vgg.safetensors")
    with pytest.raises(TrainingDiverged, match="no longer finite"):
        gatys(photo, painting, dataclasses.replace(config, style_loss="moments"))


def bowl(target):
    """Return a convex objective with its minimum at a target."""

    def objective(image):
        value = ((image - target) ** 2 * torch.tensor([1.0, 10.0, 100.0]).view(1, 3, 1, 1)).mean()
        return Losses(value, value, value, value)

    return objective


@pytest.mark.parametrize(("optimizer", "steps"), [(Lbfgs(), 100), (Adam(0.02), 600)], ids=["lbfgs", "adam"])
def test_optimizers_reach_the_minimum_within_the_range_of_images(optimizer, steps):
    target = torch.linspace(-0.5, 1.5, 3 * 4 * 5, dtype=torch.float64).view(1, 3, 4, 5)
    optimizer.restart(torch.full_like(target, 0.5))
    taken: list[Losses] = []
    optimizer.run(bowl(target), steps, taken.append)
    assert len(taken) <= steps
    torch.testing.assert_close(optimizer.image, target.clamp(0, 1), rtol=0, atol=0.02)


def test_losses_with_few_exact_digits_do_not_stop_lbfgs():
    """Sums over large images in single precision are such losses: a first step that is too short drowns in rounding."""
    target = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))

    def rounded(image):
        exact = ((image - target) ** 2).mean()
        value = exact + (exact.detach().mul(1e4).round() / 1e4 - exact.detach())
        return Losses(value, value, value, value)

    optimizer, seen = Lbfgs(), []
    optimizer.restart(torch.full_like(target, 0.5))
    optimizer.run(rounded, 30, lambda losses: seen.append(losses.total.item()))
    assert seen[0] > 0.05
    assert seen[-1] < 1e-3


def test_adams_image_is_the_average_of_its_iterates():
    optimizer, seen = Adam(0.1), []
    optimizer.restart(torch.zeros(1, 3, 2, 2))
    objective = bowl(torch.ones(1, 3, 2, 2))

    def watching(image):
        seen.append(image.detach().clone())
        return objective(image)

    optimizer.run(watching, 3, lambda losses: None)
    after = [*seen[1:], optimizer._values.detach()]
    weights = [0.99**2, 0.99, 1]
    expected = sum(w * p for w, p in zip(weights, after, strict=True)) / sum(weights)
    torch.testing.assert_close(optimizer.image, expected)


def test_adam_keeps_its_moments_from_scale_to_scale():
    optimizer = Adam(0.02)
    optimizer.restart(torch.zeros(1, 3, 4, 4))
    optimizer.run(bowl(torch.ones(1, 3, 4, 4)), 5, lambda losses: None)
    optimizer.restart(torch.zeros(1, 3, 8, 6))
    state = optimizer._optimizer.state[optimizer._values]
    assert state["exp_avg"].shape == (1, 3, 8, 6)
    assert state["exp_avg"].abs().min() > 0
    assert state["step"] == 5
