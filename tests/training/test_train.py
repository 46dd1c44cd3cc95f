"""Training: the loss falls, an interrupted run resumes, and the style says how it was made."""

import ast
import dataclasses
import math
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

import stylekit
from stylekit.config.train import TrainConfig
from stylekit.errors import (
    ConfigError,
    DatasetError,
    ImageError,
    LossWeightsError,
    StyleFileError,
    StylekitError,
    StyleNotFound,
    TrainingDiverged,
)
from stylekit.images.pixels import to_floats
from stylekit.losses.style import gram_matrix
from stylekit.losses.weights import loss_weights_path, read_loss_weights
from stylekit.styles.locations import bundled_styles_dir, own_styles_dir
from stylekit.styles.style_file import Credits, load_style_file
from stylekit.stylization.style import load_style
from stylekit.system.distributed import World
from stylekit.system.files import file_hash
from stylekit.training.photos import COCO_SIZE, open_photos
from stylekit.training.recipe import final_weights
from stylekit.training.train import StepReport, train_style
from stylekit.training.trainer import Trainer
from tests.training_material import metrics, tiny_config, write_material

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = ("total", "content", "style", "tv")
KEYWORDS = ("on_note", "on_download", "credits", "resume", "force", "on_step", "should_stop", "world")


@pytest.fixture
def material(tmp_path, make_photo, vgg_weights):
    return write_material(tmp_path / "material", make_photo, vgg_weights)


@pytest.fixture
def train(material, tmp_path):
    """Train in a run folder of the given name, with tiny settings by default."""

    def train(run="run", *, name="wave", painting=None, photos=None, previews=None, **changes):
        keywords = {key: changes.pop(key) for key in KEYWORDS if key in changes}
        return train_style(
            painting or material.painting,
            photos or material.photos,
            tiny_config(material, **changes),
            name=name,
            run_dir=tmp_path / run,
            previews=[material.preview] if previews is None else previews,
            **keywords,
        )

    return train


def stop_after(steps):
    """Return a `should_stop` that returns true at its nth call."""
    asked = []
    return lambda: asked.append(1) or len(asked) == steps


def same_weights(first, second):
    return first.weights.keys() == second.weights.keys() and all(
        np.array_equal(array, second.weights[name]) for name, array in first.weights.items()
    )


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# --- Learning


@pytest.mark.parametrize(("network", "rate", "share"), [("fast", 3e-3, 0.8), ("johnson", 1e-2, 0.2)])
def test_training_lowers_the_loss(train, network, rate, share):
    totals = []
    train(network=network, steps=12, learning_rate=rate, on_step=lambda report: totals.append(report.total))
    assert len(totals) == 12
    assert np.mean(totals[-3:]) < share * np.mean(totals[:3])


def test_a_seed_gives_the_same_style_again_and_another_seed_a_different_one(train):
    first, again, other = (train(f"run {n}", steps=2, seed=seed, force=True) for n, seed in enumerate((3, 3, 4)))
    assert same_weights(first, again)
    assert not same_weights(first, other)


def test_the_learning_rate_rises_to_its_peak_early_and_falls_to_nearly_nothing(material, vgg_weights):
    config = tiny_config(material, steps=20, learning_rate=0.01)
    trainer = Trainer(config, np.zeros((32, 32, 3), np.float32), vgg_weights)
    rates = []
    for _ in range(20):
        rates.append(trainer.optimizer.param_groups[0]["lr"])
        trainer.train_step(np.full((1, 3, 32, 32), 0.5, np.float32))
    assert max(rates) == pytest.approx(0.01, rel=0.05)
    assert 1 <= rates.index(max(rates)) <= 6
    assert rates[0] < 0.1 * max(rates)
    assert rates[-1] < 0.05 * max(rates)


def test_crops_aim_above_the_paintings_statistics_the_more_the_higher_the_layer(material, vgg_weights):
    painting = np.random.default_rng(0).random((64, 64, 3), np.float32)
    trainer = Trainer(tiny_config(material, octaves=1), painting, vgg_weights)
    activations = trainer.criterion.features(torch.from_numpy(painting).permute(2, 0, 1)[None], trainer.style_layers)
    gains = [
        float((trainer.criterion.targets[0][layer][0] / gram_matrix(activations[layer])).nanmedian())
        for layer in sorted(trainer.style_layers)
    ]
    assert gains == sorted(gains)
    assert 1 < gains[0] < gains[-1] < 1.25


@pytest.mark.parametrize("steps", [*range(1, 13), 19, 24, 49])
def test_a_training_may_have_any_number_of_steps(material, vgg_weights, steps):
    trainer = Trainer(tiny_config(material, steps=steps), np.zeros((32, 32, 3), np.float32), vgg_weights)
    for _ in range(steps):
        trainer.optimizer.step()
        trainer.schedule.step()
    assert 0 < trainer.schedule.get_last_lr()[0] <= trainer.config.learning_rate


@pytest.mark.parametrize("changes", [{"octaves": 2, "crop_size": 64}, {"pooling": "avg"}, {"style_layers": {}}])
def test_a_setting_of_the_losses_changes_them(train, changes):
    reports: list[StepReport] = []
    train("plain", steps=1, crop_size=changes.get("crop_size", 32), on_step=reports.append)
    train("changed", steps=1, **changes, force=True, on_step=reports.append)
    assert reports[0].style != pytest.approx(reports[1].style, rel=1e-4)


def test_the_stability_loss_adds_to_the_total_alone_and_changes_what_is_learned(train):
    plain: list[StepReport] = []
    stable: list[StepReport] = []
    first = train("plain", steps=2, on_step=plain.append)
    second = train("stable", steps=2, stability_weight=1e6, force=True, on_step=stable.append)
    assert stable[0].total > plain[0].total + 1
    for name in NAMES[1:]:
        assert getattr(stable[0], name) == getattr(plain[0], name)
    assert not same_weights(first, second)


def test_bfloat16_runs_on_a_cpu_and_gives_nearly_the_same_losses(train):
    exact: list[StepReport] = []
    rough: list[StepReport] = []
    train("exact", steps=6, learning_rate=5e-4, on_step=exact.append)
    style = train("rough", steps=6, learning_rate=5e-4, precision="bfloat16", force=True, on_step=rough.append)
    assert style.metadata.trained_with["precision"] == "bfloat16"
    assert rough[0].total == pytest.approx(exact[0].total, rel=0.01)
    assert rough[0].total != exact[0].total
    assert rough[-1].total < 0.97 * rough[0].total


# --- Reports, metrics, samples


def test_each_step_is_reported_as_it_stands_in_the_metrics(train, tmp_path):
    reports: list[StepReport] = []
    train(steps=3, content_weight=2.0, style_weight=3.0, tv_weight=5.0, on_step=reports.append)
    assert [report.step for report in reports] == [1, 2, 3]
    assert {report.steps for report in reports} == {3}
    seconds = [report.seconds for report in reports]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    rows = metrics(tmp_path / "run")
    for report, row in zip(reports, rows, strict=True):
        assert list(row) == [report.step, *(getattr(report, name) for name in NAMES)]
        assert report.total == pytest.approx(2 * report.content + 3 * report.style + 5 * report.tv, rel=1e-5)


def test_a_finished_run_folder_is_complete(train, tmp_path):
    train(steps=2)
    assert files(tmp_path / "run") == [
        "checkpoint.safetensors",
        "config.json",
        "loss.png",
        "metrics.csv",
        "samples/000001.png",
        "samples/000002.png",
        "wave.safetensors",
    ]


def test_a_longer_training_has_about_ten_samples_and_one_of_the_last_step(train, tmp_path):
    train(steps=21)
    samples = [int(path.stem) for path in sorted((tmp_path / "run" / "samples").iterdir())]
    assert 10 <= len(samples) <= 12
    assert samples[-1] == 21


def test_a_sheet_shows_the_preview_its_stylized_version_and_the_painting(train, material, tmp_path):
    train(steps=3, learning_rate=1e-2)
    preview = Image.open(material.preview).convert("RGB").resize((32, 256))
    with Image.open(tmp_path / "run" / "samples" / "000003.png") as sheet:
        shown, result, painting = (
            np.asarray(sheet.crop(box), np.int32) for box in ((0, 0, 32, 256), (0, 264, 32, 520), (40, 0, 248, 520))
        )
        assert sheet.size == (32 + 8 + 208, 520)  # the painting's 36 x 90 at the height of both rows
    assert np.abs(shown - np.asarray(preview)).max() <= 1
    assert np.abs(result - np.asarray(load_style("wave")(preview), np.int32)).max() <= 3  # half-precision kernels
    assert np.abs(painting.mean((0, 1)) - np.asarray(Image.open(material.painting)).mean((0, 1))).max() < 10


def test_without_previews_the_first_three_photos_are_shown(train, tmp_path):
    train(steps=1, previews=[])
    with Image.open(tmp_path / "run" / "samples" / "000001.png") as sheet:
        assert sheet.width == 3 * (288 + 8) + 208  # photos of 72 x 64 at the height 256


# --- The style


def test_the_style_is_kept_under_its_name_and_found(train, tmp_path):
    style = train(name="my-wave", steps=1)
    assert load_style("my-wave").metadata.name == "my-wave"
    for path in (own_styles_dir() / "my-wave.safetensors", tmp_path / "run" / "my-wave.safetensors"):
        kept = load_style_file(path)
        assert kept.metadata == style.metadata
        assert same_weights(kept, style)


def test_kernels_are_kept_in_8_bits_and_all_else_in_float32(train, tmp_path):
    train(steps=1)
    weights = load_file(tmp_path / "run" / "wave.safetensors")
    assert {array.dtype for array in weights.values() if array.ndim == 4} == {np.dtype(np.int8)}
    assert {array.dtype for array in weights.values() if array.ndim != 4} == {np.dtype(np.float32)}


def test_the_recipe_holds_every_setting_files_by_name_and_hash_and_the_losses_reached(train, material, tmp_path):
    changes = {"steps": 3, "learning_rate": 1e-3, "tv_weight": 0.1, "seed": 5}
    recipe = train(**changes).metadata.trained_with
    config = tiny_config(material, **changes).to_dict()
    for key in config.keys() - {"loss_weights", "init_from", "precision"}:
        assert recipe[key] == config[key]
    assert recipe["init_from"] is None
    assert recipe["precision"] == "float32"
    assert recipe["painting"] == {"file": material.painting.name, "sha256": file_hash(material.painting)}
    assert recipe["loss_weights"] == {"file": "vgg.safetensors", "sha256": file_hash(material.weights)}
    assert recipe["loss_network"] == "vgg19"
    assert recipe["stylekit"] == stylekit.__version__
    reached = metrics(tmp_path / "run")[:, 1:].mean(0)
    assert list(recipe["losses"]) == list(NAMES)
    assert list(recipe["losses"].values()) == pytest.approx(reached, abs=1e-5)


def test_the_recipe_names_the_style_layers_that_were_chosen_by_default(train):
    recipe = train(steps=1, style_layers={}).metadata.trained_with
    assert recipe["style_layers"] == {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0}  # the weights end at relu3_3


def test_no_folder_of_this_machine_is_in_the_style_file(train, style_path, tmp_path):
    """Photos, painting, weights, the first style and the run are all below `tmp_path`'s parent."""
    train(steps=1, init_from=str(style_path))
    content = (own_styles_dir() / "wave.safetensors").read_bytes()
    assert style_path.name.encode() in content
    assert str(tmp_path.parent).encode() not in content


def test_the_style_that_a_training_started_from_is_named_with_its_hash(train, style_path):
    first = train(steps=1, init_from=str(style_path))
    named = {"file": style_path.name, "sha256": file_hash(style_path), "trained_with": {}}
    assert first.metadata.trained_with["init_from"] == named
    again = train("again", name="later", steps=1, init_from="wave")  # which has a recipe itself
    assert again.metadata.trained_with["init_from"]["trained_with"] == first.metadata.trained_with


def test_the_credits_are_in_the_style_file(train):
    credits = Credits(title="The Great Wave", artist="Hokusai", year="1831", licence="CC0-1.0", source="a museum")
    metadata = train(steps=1, credits=credits).metadata
    assert {key: getattr(metadata, key) for key in dataclasses.asdict(credits)} == dataclasses.asdict(credits)


def test_cached_loss_weights_are_used_by_default(train, material):
    loss_weights_path().parent.mkdir(parents=True)
    shutil.copy(material.weights, loss_weights_path())
    recipe = train(steps=1, loss_weights=None).metadata.trained_with
    assert recipe["loss_weights"] == {"file": "vgg19.safetensors", "sha256": file_hash(material.weights)}


def test_the_style_is_saved_before_the_loss_curves_which_may_fail(train, tmp_path, monkeypatch):
    def fail(metrics, path):
        assert load_style_file(tmp_path / "run" / "wave.safetensors").metadata.name == "wave"
        assert (own_styles_dir() / "wave.safetensors").is_file()
        raise ValueError("no such font")

    monkeypatch.setattr("stylekit.training.train.save_loss_curves", fail)
    notes: list[str] = []
    train(steps=1, on_note=notes.append)
    assert notes[-1] == "Cannot draw the loss curves: no such font"


def test_a_style_that_cannot_be_filed_says_where_it_is(train, tmp_path):
    def block(report):
        if report.step == 2:
            own_styles_dir().parent.mkdir(parents=True, exist_ok=True)
            own_styles_dir().write_text("not a folder")

    with pytest.raises(
        StyleFileError, match="The style is trained, but cannot be added to your styles: Cannot"
    ) as caught:
        train(steps=2, on_step=block)
    path = tmp_path / "run" / "wave.safetensors"
    assert caught.value.hint == f"Use it as --style {path}, or add it with `stylekit styles import {path} --name wave`."
    assert load_style_file(path).metadata.name == "wave"


# --- Inputs of every kind


def test_paths_may_be_text_and_images_may_be_pillows_or_arrays(material, tmp_path):
    config = tiny_config(material, steps=1)
    painting = Image.open(material.painting)
    inputs: list[tuple[str, Any, Any]] = [
        ("text", str(material.painting), str(material.preview)),
        ("pillow", painting, Image.open(material.preview)),
        ("array", np.asarray(painting), np.asarray(Image.open(material.preview))),
    ]
    styles = [
        train_style(
            image, str(material.photos), config, name=f"wave-{kind}", run_dir=str(tmp_path / kind), previews=[p]
        )
        for kind, image, p in inputs
    ]
    assert same_weights(styles[0], styles[1])
    assert same_weights(styles[0], styles[2])
    recipes = [style.metadata.trained_with["painting"] for style in styles]
    assert [recipe["file"] for recipe in recipes] == [material.painting.name, "", ""]
    assert recipes[1] == recipes[2] != recipes[0]


@pytest.mark.parametrize(
    ("number", "note"), [(4, "Only 4 training photos: 100 or more"), (100, "100 training photos.")]
)
def test_the_number_of_photos_is_noted(train, material, number, note):
    for copy in range(4, number):
        shutil.copy(material.photos / "0.png", material.photos / f"{copy}.png")
    notes: list[str] = []
    train(steps=1, on_note=notes.append)
    assert [text for text in notes if text.startswith(note)]


def test_a_missing_download_is_announced_by_the_training(train, server, monkeypatch, tmp_path):
    archive = tmp_path / "val2017.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("0.png", "1.png"):
            file.write(tmp_path / "material" / "photos" / name, name)
    monkeypatch.setattr("stylekit.training.photos.COCO_URL", server.put("/val2017.zip", archive.read_bytes()))
    monkeypatch.setattr("stylekit.training.photos.COCO_SHA256", file_hash(archive))
    downloads = []
    train(photos="coco", steps=1, on_download=lambda download: downloads.append(download) or (lambda done, total: None))
    assert [(download.name, download.size) for download in downloads] == [("COCO val2017", COCO_SIZE)]
    assert downloads[0].path.is_file()


# --- Starting from a trained style


def test_a_training_can_start_from_a_trained_styles_weights(train):
    before: list[StepReport] = []
    after: list[StepReport] = []
    train("first", steps=12, learning_rate=1e-2, network="johnson", on_step=before.append)
    train("second", name="more", steps=2, network="johnson", init_from="wave", on_step=after.append)
    assert after[0].total < 0.5 * before[0].total


def test_before_its_first_step_it_is_that_style(material, vgg_weights, style_path, small_style, make_photo):
    painting = np.zeros((32, 32, 3), np.float32)
    trainer = Trainer(tiny_config(material), painting, vgg_weights, start=load_style_file(style_path))
    assert trainer.network_config == small_style.metadata.network_config
    photo = make_photo(20, 24)
    result = trainer.stylize(to_floats(np.asarray(photo))) * 255
    assert np.abs(result - np.asarray(load_style(str(style_path))(photo))).max() <= 1


def test_by_default_it_starts_from_the_bundled_style_nearest_to_the_painting(train, make_photo, tmp_path):
    assert TrainConfig().init_from == "nearest"
    path = tmp_path / "painting.png"
    load_style("red-chalk")(make_photo(96, 96, 3)).save(path)
    notes: list[str] = []
    style = train(painting=path, steps=1, learning_rate=1e-9, init_from="nearest", on_note=notes.append)
    assert "Starting from red-chalk, the bundled style nearest to the painting." in notes
    assert style.metadata.trained_with["init_from"]["file"] == "red-chalk.safetensors"
    red_chalk = load_style_file(bundled_styles_dir() / "red-chalk.safetensors")
    for name, array in style.weights.items():
        near = float(np.abs(red_chalk.weights[name]).max()) / 200  # 8 bits
        assert array == pytest.approx(red_chalk.weights[name], abs=max(near, 1e-3))


def test_a_resumed_training_knows_what_it_started_from_and_does_not_search_again(train, monkeypatch):
    config = {"steps": 2, "init_from": "nearest"}
    with pytest.raises(KeyboardInterrupt):
        train(should_stop=lambda: True, **config)
    monkeypatch.setattr("stylekit.training.warm_start.nearest_style", lambda *arguments: pytest.fail("searched again"))
    style = train(resume=True, **config)
    assert (bundled_styles_dir() / style.metadata.trained_with["init_from"]["file"]).is_file()


def test_a_network_without_bundled_styles_starts_from_fresh_weights_with_a_note(train):
    notes: list[str] = []
    style = train(steps=1, network="johnson", init_from="nearest", on_note=notes.append)
    assert "Starting from fresh weights." in notes
    assert style.metadata.trained_with["init_from"] is None


def test_with_the_compact_loss_network_the_losses_fall_and_the_recipe_says_so(train):
    reports: list[StepReport] = []
    layers = {"content_layers": ("relu3_3",), "style_layers": {}}
    style = train(
        steps=20, loss_network="compact", loss_weights=None, learning_rate=3e-3, on_step=reports.append, **layers
    )
    assert np.mean([report.total for report in reports[-3:]]) < 0.7 * reports[0].total
    recipe = style.metadata.trained_with
    assert (recipe["loss_network"], recipe["loss_weights"]["file"]) == ("compact", "compact.safetensors")
    assert recipe["style_layers"] == {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0, "relu4_1": 1.0}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"network": "johnson", "init_from": "SMALL"}, ConfigError, "is a fast network, not johnson"),
        ({"init_from": "nonesuch"}, StyleNotFound, "nonesuch"),
        ({"network": "vgg"}, ConfigError, "vgg"),
        ({"style_layers": {"relu9_9": 1.0}}, ConfigError, "relu9_9"),
        ({"content_layers": ("conv1",)}, ConfigError, "conv1"),
        ({"style_layers": {"relu4_1": 1.0}}, LossWeightsError, "end at relu3_3, but relu4_1 is needed"),
        ({"content_layers": ("relu5_4",)}, LossWeightsError, "end at relu3_3, but relu5_4 is needed"),
        ({"loss_network": "resnet", "loss_weights": None}, ConfigError, "resnet"),
        ({"loss_network": "compact", "loss_weights": None, "pooling": "avg"}, ConfigError, "max pooling"),
        ({"loss_network": "compact"}, ConfigError, "its own weights"),
        ({"loss_weights": "nowhere.safetensors"}, LossWeightsError, "nowhere"),
    ],
)
def test_impossible_settings_are_rejected_before_the_run_folder_is_created(
    train, style_path, tmp_path, changes, error, message
):
    if changes.get("init_from") == "SMALL":
        changes = {**changes, "init_from": str(style_path)}
    with pytest.raises(error, match=message):
        train(**changes)
    assert not (tmp_path / "run").exists()


def test_missing_loss_weights_are_not_downloaded_offline_and_no_run_folder_is_created(train, tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEKIT_OFFLINE", "1")
    with pytest.raises(LossWeightsError, match="cache") as rejected:
        train(loss_weights=None)
    assert "--loss-weights" in rejected.value.hint
    assert not (tmp_path / "run").exists()


# --- Paintings, photos, names


def image_file(path, kind):
    match kind:
        case "too small":
            Image.new("RGB", (31, 400)).save(path)
        case "transparent":
            Image.new("RGBA", (400, 400)).save(path)
        case "not an image":
            path.write_text("a text")
        case "truncated":
            Image.effect_noise((64, 64), 90).save(path)
            path.write_bytes(path.read_bytes()[:-900])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("too small", "too small: 31 x 400 px"),
        ("transparent", "fully transparent"),
        ("not an image", "not a readable image"),
        ("truncated", "truncated"),
        ("missing", "exist"),
    ],
)
def test_an_unusable_painting_is_rejected(train, tmp_path, kind, message):
    with pytest.raises(ImageError, match=message) as rejected:
        train(painting=image_file(tmp_path / "painting.png", kind))
    assert "painting.png" in rejected.value.message
    assert not (tmp_path / "run").exists()


def test_a_preview_that_is_not_an_image_is_rejected_before_the_run_folder_is_created(train, tmp_path):
    with pytest.raises(ImageError, match=r"preview\.png"):
        train(previews=[image_file(tmp_path / "preview.png", "not an image")])
    assert not (tmp_path / "run").exists()


def test_too_few_photos_are_rejected_before_the_run_folder_is_created(train, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="2 or more"):
        train(photos=tmp_path / "empty")
    assert not (tmp_path / "run").exists()


def test_corrupt_photos_do_not_stop_a_training(train, material):
    for number in range(4):
        (material.photos / f"{number} damaged.png").write_bytes(b"not an image")
    reports: list[StepReport] = []
    train(steps=4, on_step=reports.append)
    assert len(reports) == 4


@pytest.mark.parametrize("name", ["Great Wave", "../wave", "", "-wave"])
def test_an_invalid_name_is_rejected_before_any_work(train, tmp_path, name):
    with pytest.raises(ConfigError, match="Invalid style name"):
        train(name=name, painting=tmp_path / "not even looked at.png")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def bundled(tmp_path, style_path, monkeypatch):
    """Let the package ship the style `wave`."""
    folder = tmp_path / "bundled"
    folder.mkdir()
    shutil.copy(style_path, folder / "wave.safetensors")
    monkeypatch.setattr("stylekit.styles.locations._BUNDLED", folder)


@pytest.mark.usefixtures("bundled")
def test_a_bundled_styles_name_is_rejected_before_any_work(train, tmp_path):
    with pytest.raises(ConfigError, match="wave is a bundled style") as rejected:
        train(name="wave", painting=tmp_path / "not even looked at.png")
    assert "--force" in rejected.value.hint
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("bundled")
def test_a_bundled_style_is_hidden_by_force(train, small_style):
    trained = train(name="wave", steps=1, force=True)
    assert load_style("wave").metadata == trained.metadata


def test_a_style_of_the_users_is_not_replaced_without_force(train, tmp_path):
    train("first", steps=1)
    kept = (own_styles_dir() / "wave.safetensors").read_bytes()
    with pytest.raises(ConfigError, match="wave") as rejected:
        train("second", steps=1, seed=1)
    assert "--force" in rejected.value.hint
    assert not (tmp_path / "second").exists()
    assert (own_styles_dir() / "wave.safetensors").read_bytes() == kept


# --- Interrupting and resuming


def assert_same_training(first, second):
    assert np.array_equal(metrics(first)[:, 0], metrics(second)[:, 0])
    assert np.abs(metrics(first) - metrics(second)).max() < 1e-4


@pytest.mark.parametrize(
    ("stop", "changes"),
    [
        (1, {}),
        (4, {}),
        (3, {"stability_weight": 100.0, "batch_size": 2, "seed": 7}),
        (5, {"network": "johnson"}),
        (2, {"style_loss": "pooled"}),
    ],
    ids=["after the first step", "later", "with the stability term", "johnson", "pooled"],
)
def test_a_training_that_was_interrupted_and_resumed_equals_one_that_was_not(train, tmp_path, stop, changes):
    whole = train("whole", name="whole", **changes)
    with pytest.raises(KeyboardInterrupt):
        train("broken", should_stop=stop_after(stop), **changes)
    assert len(metrics(tmp_path / "broken")) == stop
    assert "checkpoint.safetensors" in files(tmp_path / "broken")
    assert "wave.safetensors" not in files(tmp_path / "broken")
    assert files(own_styles_dir()) == ["whole.safetensors"]
    reports: list[StepReport] = []
    resumed = train("broken", resume=True, on_step=reports.append, **changes)
    assert [report.step for report in reports] == [*range(stop + 1, 7)]
    assert_same_training(tmp_path / "whole", tmp_path / "broken")
    assert same_weights(whole, resumed)
    assert resumed.metadata.trained_with["losses"] == whole.metadata.trained_with["losses"]


def test_minutes_become_steps_by_the_speed_of_a_few_which_leave_no_trace(train, tmp_path, monkeypatch):
    whole = train("whole", name="whole", steps=4, style_loss="pooled")
    times = iter([0.0, 6.0])  # of three steps
    monkeypatch.setattr("stylekit.training.pace.perf_counter", lambda: next(times))
    with pytest.raises(KeyboardInterrupt):
        train("timed", minutes=8 / 60, style_loss="pooled", should_stop=stop_after(1))
    reports: list[StepReport] = []
    resumed = train("timed", minutes=8 / 60, steps=4, style_loss="pooled", resume=True, on_step=reports.append)
    assert [(report.step, report.steps) for report in reports] == [(2, 4), (3, 4), (4, 4)]
    assert same_weights(whole, resumed)


def test_minutes_are_for_one_process(train):
    with pytest.raises(ConfigError, match="single process"):
        train(minutes=1.0, world=World(rank=0, size=2))


def test_time_continues_after_an_interruption(train, tmp_path):
    seconds = []
    with pytest.raises(KeyboardInterrupt):
        train(should_stop=stop_after(3), on_step=lambda report: seconds.append(report.seconds))
    train(resume=True, on_step=lambda report: seconds.append(report.seconds))
    assert len(seconds) == 6
    assert seconds == sorted(seconds)


def test_rows_after_the_checkpoint_are_dropped_before_they_are_computed_again(train, tmp_path):
    """As a killed run leaves them, the last one unfinished."""
    train("whole", name="whole")
    with pytest.raises(KeyboardInterrupt):
        train("broken", should_stop=stop_after(2))
    with (tmp_path / "broken" / "metrics.csv").open("a") as file:
        file.write("3,9,9,9,9,1.5\n4,9,9,9,9,1.6\n5,9,9")
    train("broken", resume=True)
    assert_same_training(tmp_path / "whole", tmp_path / "broken")


def test_a_run_that_was_killed_before_its_first_checkpoint_starts_again(train, tmp_path):
    def killed(report):
        if report.step == 3:
            raise MemoryError("killed")

    whole = train("whole", name="whole")
    with pytest.raises(MemoryError):
        train("broken", on_step=killed)
    assert "checkpoint.safetensors" not in files(tmp_path / "broken")
    assert same_weights(train("broken", resume=True), whole)
    assert_same_training(tmp_path / "whole", tmp_path / "broken")


def test_checkpoints_are_written_regularly(train, tmp_path, monkeypatch):
    monkeypatch.setattr("stylekit.training.train._CHECKPOINT_SECONDS", -1)
    seen = []
    train(steps=3, on_step=lambda report: seen.append((tmp_path / "run" / "checkpoint.safetensors").exists()))
    assert seen == [False, True, True]


def test_resuming_a_finished_run_gives_the_same_style_again(train, tmp_path):
    reports: list[StepReport] = []
    finished = train(steps=3)
    (own_styles_dir() / "wave.safetensors").unlink()
    again = train(steps=3, resume=True, on_step=reports.append)
    assert reports == []
    assert again.metadata == finished.metadata
    assert same_weights(again, finished)
    assert same_weights(load_style_file(own_styles_dir() / "wave.safetensors"), finished)
    assert len(metrics(tmp_path / "run")) == 3


def test_stopping_at_the_last_step_changes_nothing(train, tmp_path):
    style = train(steps=2, should_stop=stop_after(2))
    assert same_weights(load_style_file(tmp_path / "run" / "wave.safetensors"), style)


@pytest.mark.parametrize(
    ("other", "named"), [({"steps": 7}, "--steps"), ({"seed": 1, "tv_weight": 1.0}, "--tv-weight, --seed")]
)
def test_resuming_with_other_settings_is_rejected_and_changes_nothing(train, tmp_path, other, named):
    with pytest.raises(KeyboardInterrupt):
        train(should_stop=stop_after(2))
    before = {name: (tmp_path / "run" / name).read_bytes() for name in files(tmp_path / "run")}
    with pytest.raises(ConfigError, match=named):
        train(resume=True, **other)
    assert {name: (tmp_path / "run" / name).read_bytes() for name in files(tmp_path / "run")} == before


def test_resuming_with_another_painting_is_rejected(train, material):
    with pytest.raises(KeyboardInterrupt):
        train(should_stop=stop_after(1))
    with pytest.raises(ConfigError, match="a different painting"):
        train(resume=True, painting=material.preview.parent / "photos" / "0.png")


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_of_something_else_is_neither_started_in_nor_resumed(train, tmp_path, resume):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError):
        train(resume=resume)
    assert files(tmp_path / "run") == ["notes.txt"]


def test_a_second_training_in_a_folder_is_rejected_and_leaves_the_first_one_alone(train, tmp_path):
    """Before the first checkpoint, when a folder counts as new."""
    rejected = []

    def start_another(report):
        if report.step == 2:
            for resume in (False, True):
                with pytest.raises(StylekitError, match="is being written by another run") as caught:
                    train(name="other", resume=resume)
                rejected.append(caught.value.hint)

    train(steps=4, on_step=start_another)
    assert rejected == ["Wait for that run, or choose another --run-dir."] * 2
    assert metrics(tmp_path / "run")[:, 0].tolist() == [1, 2, 3, 4]
    assert not any(name.endswith(".lock") for name in files(tmp_path / "run"))


# --- Diverging


def test_a_training_with_far_too_high_a_learning_rate_diverges(train, tmp_path):
    with pytest.raises(TrainingDiverged, match="no longer finite at step") as diverged:
        train(learning_rate=1e30)
    assert "--lr" in diverged.value.hint
    assert np.isfinite(metrics(tmp_path / "run")).all()
    assert not own_styles_dir().exists()


def test_a_diverging_training_keeps_the_last_good_checkpoint(train, tmp_path, monkeypatch):
    train("whole", name="whole")
    with pytest.raises(KeyboardInterrupt):
        train(should_stop=stop_after(2))
    checkpoint = (tmp_path / "run" / "checkpoint.safetensors").read_bytes()

    step = Trainer.train_step
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", lambda self, crops: step(self, crops * (np.nan if self.step == 3 else 1)))
        with pytest.raises(TrainingDiverged, match="at step 4"):
            train(resume=True)
    assert (tmp_path / "run" / "checkpoint.safetensors").read_bytes() == checkpoint
    assert all(np.isfinite(array).all() for array in load_file(tmp_path / "run" / "checkpoint.safetensors").values())
    assert "wave.safetensors" not in files(tmp_path / "run")

    train(resume=True)
    assert_same_training(tmp_path / "whole", tmp_path / "run")


def test_weights_that_are_not_finite_count_as_diverged():
    weights = {"out.weight": np.full((1, 1, 1, 1), np.inf, np.float32)}
    trainer: Any = SimpleNamespace(weights=lambda: weights)
    with pytest.raises(TrainingDiverged):
        final_weights(trainer)


@pytest.mark.usefixtures("one_thread")
def test_fresh_weights_first_learn_to_copy_then_the_style_little_by_little(material):
    config = tiny_config(material, steps=20, style_loss="pooled", style_weight=12.0)
    painting = to_floats(np.asarray(Image.open(material.painting).convert("RGB").resize((64, 64))))
    trainer = Trainer(config, painting, read_loss_weights(material.weights))
    crops = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)
    copying, style_weights = [], []
    for _ in range(20):
        copying.append(trainer._next_stage().copies)
        style_weights.append(trainer.criterion.weights[1])
        trainer.train_step(crops)
    assert copying == [True] * 3 + [False] * 17
    assert style_weights[:4] == pytest.approx([4, 4, 4, 4])
    assert style_weights == sorted(style_weights)
    assert style_weights[-1] == 12


@pytest.mark.usefixtures("one_thread")
def test_a_trained_style_is_the_average_of_the_last_weights_and_resumes_as_such(material):
    config = tiny_config(material, steps=8)
    painting = to_floats(np.asarray(Image.open(material.painting).convert("RGB").resize((64, 64))))
    trainers = [Trainer(config, painting, read_loss_weights(material.weights)) for _ in range(2)]
    crops = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)
    for _ in range(4):
        trainers[0].train_step(crops)
    last = {name: tensor.numpy() for name, tensor in trainers[0].network.state_dict().items()}
    assert any(not np.array_equal(last[name], array) for name, array in trainers[0].weights().items())
    trainers[1].restore(*trainers[0].state())
    for name, array in trainers[0].weights().items():
        np.testing.assert_array_equal(trainers[1].weights()[name], array)


# --- Properties of the code


def test_nothing_but_the_importers_may_unpickle():
    root = Path(stylekit.__file__).parent
    suspicious = {"torch.save", "torch.load", "torch.jit.load"}
    found = []
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            imports = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                imports = [node.module or ""]
            if {name.partition(".")[0] for name in imports} & {"pickle", "dill", "joblib", "shelve", "cloudpickle"}:
                found.append((path.stem, "import"))
            if isinstance(node, ast.Attribute) and ast.unparse(node) in suspicious:
                found.append((path.stem, ast.unparse(node)))
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":  # which `np.load` needs for pickles
                found.append((path.stem, "allow_pickle"))
    assert {module for module, _ in found} <= {"checkpoints"}


def test_everything_but_text_and_images_in_a_run_folder_is_safetensors(train, tmp_path):
    train(steps=1)
    binary = [name for name in files(tmp_path / "run") if not name.endswith((".json", ".csv", ".png"))]
    assert binary == ["checkpoint.safetensors", "wave.safetensors"]
    for name in binary:
        with safe_open(tmp_path / "run" / name, framework="numpy") as file:
            assert list(file.keys())


# --- The real thing


def test_the_real_loss_network_learns_from_a_real_painting(shared, material, tmp_path):
    config = TrainConfig(
        steps=24,
        batch_size=1,
        crop_size=64,
        style_size=96,
        device="cpu",
        loss_weights=str(shared / "weights" / "vgg19_relu4_1.safetensors"),
        init_from="none",
    )
    reports: list[StepReport] = []
    style = train_style(
        shared / "images" / "paintings" / "great-wave.jpg",
        open_photos(shared / "images" / "train"),
        config,
        name="wave",
        run_dir=tmp_path / "run",
        previews=[material.preview],
        on_step=reports.append,
    )
    assert list(style.metadata.trained_with["style_layers"]) == ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]
    assert all(math.isfinite(getattr(report, name)) for report in reports for name in NAMES)
    first, last = (np.mean([report.total for report in part]) for part in (reports[:4], reports[-4:]))
    assert last < 0.8 * first
