"""Settings: their ranges, presets and round trips."""

import dataclasses
import json
import math
from typing import Any

import pytest

from stylekit.cli.parsing import parse_layers
from stylekit.config.apply import ApplyConfig
from stylekit.config.checks import alternatives, check_shares, option_of
from stylekit.config.gatys import GatysConfig
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

BAD: list[tuple[type, str, list[Any]]] = [
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
    (TrainConfig, "style_layers", [{"relu1_1": -1.0}, {"relu1_1": math.nan}, {"relu1_1": 1.0, "relu2_1": math.inf}]),
]


@pytest.mark.parametrize(("kind", "settings"), GOOD)
def test_valid_settings_are_accepted(kind, settings):
    config = kind(**settings)
    assert {name: getattr(config, name) for name in settings} == settings


@pytest.mark.parametrize(
    ("kind", "name", "value"), [(kind, name, value) for kind, name, values in BAD for value in values]
)
def test_an_invalid_setting_is_refused_with_its_option(kind, name, value):
    with pytest.raises(ConfigError) as caught:
        kind(**{name: value})
    assert option_of(name) in caught.value.message or (name, str(value)) == ("device", value)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (ApplyConfig, {"strength": 2.0}, "--strength must be between 0 and 1, not 2."),
        (ApplyConfig, {"strength": math.nan}, "--strength must be between 0 and 1, not nan."),
        (ApplyConfig, {"stroke_size": 0.0}, "--stroke-size must be auto or between 0.1 and 100, not 0."),
        (ApplyConfig, {"tile": 8}, "--tile must be auto, off or 64 or more pixels, not 8."),
        (ApplyConfig, {"engine": "gpu"}, "--engine must be auto, torch or onnxruntime, not 'gpu'."),
        (
            ApplyConfig,
            {"engine": "onnxruntime", "device": "cuda"},
            "--engine onnxruntime runs on the CPU only, not on cuda.",
        ),
        (ApplyConfig, {"start": 5.0, "end": 2.0}, "--end must be later than --start (5 s), not 2 s."),
        (ApplyConfig, {"max_pixels": 0}, "--max-pixels must be 1 or more, not 0."),
        (TrainConfig, {"crop_size": 8}, "--crop-size must be 32 or more, not 8."),
        (TrainConfig, {"learning_rate": 0.0}, "--lr must be greater than 0."),
        (TrainConfig, {"style_weight": math.inf}, "--style-weight must be 0 or more, not inf."),
        (
            TrainConfig,
            {"loss_network": "compact", "pooling": "avg"},
            "--loss-network compact has its own weights, trained with max pooling.",
        ),
        (GatysConfig, {"optimizer": "sgd"}, "--optimizer must be lbfgs or adam, not 'sgd'."),
        (GatysConfig, {"style_scale": 20.0}, "--style-scale must be between 0.1 and 10, not 20."),
        (GatysConfig, {"painting_weights": (0.0, 0.0)}, "--style-weights must be 0 or more, and not all 0."),
    ],
)
def test_errors_speak_of_the_option_and_quote_the_value(kind, settings, message):
    with pytest.raises(ConfigError) as caught:
        kind(**settings)
    assert caught.value.message == message


def test_each_painting_needs_its_weight():
    with pytest.raises(ConfigError, match=r"--style-weights must have one weight per painting \(2\), not 1"):
        GatysConfig(painting_weights=(1.0,)).check_paintings(2)
    with pytest.raises(ConfigError, match="No painting"):
        GatysConfig().check_paintings(0)
    GatysConfig().check_paintings(3)


@pytest.mark.parametrize("shares", [[1.0], [-1.0, 2.0], [0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0]])
def test_shares_that_cannot_blend_two_styles_are_refused(shares):
    with pytest.raises(ConfigError, match="shares"):
        check_shares(shares, 2)


def test_words_are_joined_as_in_a_sentence():
    assert [alternatives(words) for words in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a or b", "a, b or c"]


@pytest.mark.parametrize(("size", "octaves"), [(63, 2), (127, 3), (255, 4)])
def test_crops_must_leave_the_smallest_octave_enough_pixels(size, octaves):
    TrainConfig(crop_size=size + 1, octaves=octaves)
    with pytest.raises(ConfigError, match=f"--crop-size {size} is too small for {octaves} octaves"):
        TrainConfig(crop_size=size, octaves=octaves)


def test_more_than_four_octaves_are_refused_even_for_large_images():
    with pytest.raises(ConfigError, match="--octaves must be between 1 and 4, not 5"):
        TrainConfig(crop_size=1024, style_size=1024, octaves=5)


@pytest.mark.parametrize(("size", "octaves"), [(32, 3), (64, 4)])
def test_the_painting_must_leave_the_smallest_octave_enough_pixels(size, octaves):
    """Eight pixels, halved four times on the way to relu5_1, are none."""
    with pytest.raises(ConfigError, match="--style-size"):
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
        assert less.crop_size <= more.crop_size
        effort: dict[str, Any] = {"steps": 1, "batch_size": 1, "crop_size": 64}
        assert dataclasses.replace(less, **effort) == dataclasses.replace(more, **effort)


def test_changes_win_over_the_preset_and_are_checked():
    config = TrainConfig.from_preset("draft", steps=7, style_weight=3.0)
    assert (config.steps, config.style_weight, config.crop_size) == (7, 3.0, TRAIN_PRESETS["draft"]["crop_size"])
    with pytest.raises(ConfigError):
        TrainConfig.from_preset("draft", steps=0)


def test_an_unknown_preset_is_refused_and_the_others_are_named():
    with pytest.raises(ConfigError, match="--preset must be draft, good or best, not 'ultra'"):
        TrainConfig.from_preset("ultra")


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


def test_an_older_training_from_fresh_weights_resumes_as_one():
    assert TrainConfig.from_dict({"init_from": None}).init_from == "none"


def test_unknown_settings_are_ignored_and_missing_ones_filled_in():
    of_older_versions = TrainConfig(steps=7, style_loss="gram")
    assert TrainConfig.from_dict({"steps": 7, "brush": "large"}) == of_older_versions


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
def test_a_layers_weight_that_is_not_a_number_is_refused(text):
    with pytest.raises(ConfigError, match="Invalid layer weight"):
        parse_layers(text)


@pytest.mark.parametrize("name", ["a", "7", "starry-night", "wave_2", "0-0"])
def test_style_names_are_accepted(name):
    assert check_style_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "_a", "A", "wavE", "é", "a b", "a.b", "a/b", "..", "a\n", "²"])
def test_invalid_style_names_are_refused(name):
    with pytest.raises(ConfigError, match="Invalid style name"):
        check_style_name(name)


@pytest.mark.parametrize("device", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:15"])
def test_device_names_are_accepted(device):
    assert check_device(device) == device
