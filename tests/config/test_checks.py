"""Settings: their ranges, presets and round trips."""

import dataclasses
import json
import math

import pytest

from stylekit.cli.parsing import parse_layers
from stylekit.config.apply import ApplyConfig
from stylekit.config.train import TRAIN_PRESETS, TrainConfig
from stylekit.errors import ConfigError
from stylekit.styles.names import check_style_name
from stylekit.system.devices import check_device

GOOD = [
    (ApplyConfig, {"threads": 1, "max_size": 1, "max_pixels": 1}),
    (ApplyConfig, {"strength": 0.0, "quality": 1}),
    (ApplyConfig, {"strength": 1, "quality": 100, "device": "cuda:12"}),
    (TrainConfig, {"steps": 1, "batch_size": 1, "crop_size": 32, "style_size": 32, "octaves": 1, "seed": 0}),
    (TrainConfig, {"crop_size": 256, "octaves": 4}),
    (TrainConfig, {"crop_size": 64, "style_size": 64, "octaves": 2}),
    (TrainConfig, {"content_weight": 0, "style_weight": 0, "tv_weight": 0, "stability_weight": 0}),
    (TrainConfig, {"style_layers": {"relu1_1": 0.0, "relu2_1": 2.5}, "content_layers": ("relu1_1", "relu4_2")}),
    *((TrainConfig, {"pooling": pooling}) for pooling in ("max", "avg")),
    *((TrainConfig, {"precision": precision}) for precision in ("auto", "float32", "bfloat16")),
]

BAD = [
    (ApplyConfig, "device", ["gpu", "cuda:", ""]),
    (ApplyConfig, "threads", [0, -1]),
    (ApplyConfig, "max_size", [0, -5]),
    (ApplyConfig, "strength", [-0.01, 1.01, math.nan, math.inf]),
    (ApplyConfig, "quality", [0, 101]),
    (ApplyConfig, "max_pixels", [0]),
    (TrainConfig, "device", ["gpu", "cuda:x"]),
    (TrainConfig, "steps", [0, -1]),
    (TrainConfig, "batch_size", [0]),
    (TrainConfig, "crop_size", [31, 63]),
    (TrainConfig, "style_size", [31]),
    (TrainConfig, "octaves", [0, -1]),
    (TrainConfig, "seed", [-1]),
    *(
        (TrainConfig, name, [-0.1, math.nan, math.inf])
        for name in ("content_weight", "style_weight", "tv_weight", "stability_weight", "learning_rate")
    ),
    (TrainConfig, "learning_rate", [0]),
    (TrainConfig, "pooling", ["min", ""]),
    (TrainConfig, "precision", ["float16", ""]),
    (TrainConfig, "content_layers", [()]),
    (TrainConfig, "style_layers", [{"relu1_1": -1.0}, {"relu1_1": math.nan}, {"relu1_1": 1.0, "relu2_1": math.inf}]),
]


@pytest.mark.parametrize(("kind", "settings"), GOOD)
def test_settings_within_their_range_are_taken(kind, settings):
    config = kind(**settings)
    assert {name: getattr(config, name) for name in settings} == settings


@pytest.mark.parametrize(
    ("kind", "name", "value"), [(kind, name, value) for kind, name, values in BAD for value in values]
)
def test_a_setting_out_of_its_range_is_refused_by_name(kind, name, value):
    with pytest.raises(ConfigError) as caught:
        kind(**{name: value})
    named = caught.value.message.replace(" ", "_").lower()
    assert name in named or name.removesuffix("s") in named


@pytest.mark.parametrize(("size", "octaves"), [(63, 2), (127, 3), (255, 4)])
def test_crops_must_leave_the_smallest_octave_enough_pixels(size, octaves):
    TrainConfig(crop_size=size + 1, octaves=octaves)
    with pytest.raises(ConfigError, match=f"crop_size {size} is too small for {octaves} octaves"):
        TrainConfig(crop_size=size, octaves=octaves)


def test_more_than_four_octaves_are_refused_even_for_large_pictures():
    with pytest.raises(ConfigError, match="octaves must be 4 or less"):
        TrainConfig(crop_size=1024, style_size=1024, octaves=5)


@pytest.mark.parametrize(("size", "octaves"), [(32, 3), (64, 4)])
def test_the_painting_must_leave_the_smallest_octave_enough_pixels(size, octaves):
    """Eight pixels, halved four times on the way to relu5_1, are none."""
    with pytest.raises(ConfigError, match="style_size"):
        TrainConfig(crop_size=256, style_size=size, octaves=octaves)


@pytest.mark.parametrize("kind", [ApplyConfig, TrainConfig])
def test_settings_do_not_change(kind):
    with pytest.raises(dataclasses.FrozenInstanceError):
        kind().device = "cpu"


def test_style_layers_of_one_configuration_are_not_those_of_the_next():
    TrainConfig().style_layers["relu1_1"] = 1.0
    assert TrainConfig().style_layers == {}


def test_the_preset_good_is_the_default():
    assert TrainConfig.from_preset("good") == TrainConfig()


def test_presets_differ_in_effort_only():
    draft, good, best = (TrainConfig.from_preset(name) for name in ("draft", "good", "best"))
    assert list(TRAIN_PRESETS) == ["draft", "good", "best"]
    for less, more in [(draft, good), (good, best)]:
        assert less.steps < more.steps
        assert less.batch_size <= more.batch_size
        assert less.crop_size < more.crop_size
        effort = {"steps": 1, "batch_size": 1, "crop_size": 64}
        assert dataclasses.replace(less, **effort) == dataclasses.replace(more, **effort)


def test_changes_win_over_the_preset_and_are_checked():
    config = TrainConfig.from_preset("draft", steps=7, style_weight=3.0)
    assert (config.steps, config.style_weight, config.crop_size) == (7, 3.0, TRAIN_PRESETS["draft"]["crop_size"])
    with pytest.raises(ConfigError):
        TrainConfig.from_preset("draft", steps=0)


def test_an_unknown_preset_is_refused_and_the_known_ones_named():
    with pytest.raises(ConfigError, match="'ultra'") as caught:
        TrainConfig.from_preset("ultra")
    assert "draft, good, best" in caught.value.hint


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(),
        TrainConfig.from_preset(
            "best", network="johnson", init_from="candy", loss_weights="/w.pth", stability_weight=0.5
        ),
        TrainConfig(content_layers=("relu2_1", "relu3_3"), style_layers={"relu1_1": 0.5, "relu4_1": 2.0}),
    ],
    ids=["defaults", "preset", "layers"],
)
def test_a_configuration_survives_json(config):
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_training_without_a_first_style_stays_one_when_it_is_resumed_by_this_version():
    assert TrainConfig.from_dict({"init_from": None}).init_from == "none"


def test_settings_of_other_versions_are_passed_over_and_missing_ones_filled_in():
    assert TrainConfig.from_dict({"steps": 7, "brush": "large"}) == TrainConfig(steps=7)


def test_settings_read_back_are_checked():
    with pytest.raises(ConfigError, match="steps"):
        TrainConfig.from_dict({"steps": 0})


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("relu1_1", {"relu1_1": 1}),
        ("relu1_1,relu2_1:0.5", {"relu1_1": 1, "relu2_1": 0.5}),
        (" relu1_1 : 2 , ,relu2_1:1e-3,", {"relu1_1": 2, "relu2_1": 0.001}),
        ("relu2_1,relu1_1", {"relu2_1": 1, "relu1_1": 1}),
        ("", {}),
    ],
)
def test_layers_are_read_with_their_weights(text, layers):
    assert list(parse_layers(text).items()) == list(layers.items())


@pytest.mark.parametrize("text", ["relu1_1:much", "relu1_1:1:2", "relu1_1:0.5x"])
def test_a_layers_weight_that_is_no_number_is_refused(text):
    with pytest.raises(ConfigError, match="is not a layer's weight"):
        parse_layers(text)


@pytest.mark.parametrize("name", ["a", "7", "starry-night", "wave_2", "0-0"])
def test_names_of_styles_are_taken(name):
    assert check_style_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "_a", "A", "wavE", "é", "a b", "a.b", "a/b", "..", "a\n", "²"])
def test_what_cannot_name_a_style_is_refused(name):
    with pytest.raises(ConfigError, match="cannot name a style"):
        check_style_name(name)


@pytest.mark.parametrize("device", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:15"])
def test_names_of_devices_are_taken(device):
    assert check_device(device) == device
