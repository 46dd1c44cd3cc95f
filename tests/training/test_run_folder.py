"""The run folder: what is written is read back, and errors tell corrupt, missing and forbidden files apart."""

import json
import os
import time

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from stylekit.config.train import TrainConfig
from stylekit.errors import ConfigError, StylekitError
from stylekit.system.files import host_digest
from stylekit.training.run_folder import METRICS, RunFolder

HASH = "0" * 64
CONFIG = TrainConfig(
    steps=30, content_layers=("relu2_2", "relu3_3"), style_layers={"relu1_1": 0.5, "relu2_1": 1.0}, learning_rate=1e-3
)
HEADER = ",".join(METRICS)


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "wave")
    folder.start(CONFIG, HASH, "night")
    return folder


def lines(run):
    return run.metrics.read_text().splitlines()


def names(run):
    return sorted(path.name for path in run.path.iterdir())


# --- Starting


def test_a_started_run_holds_its_settings_and_metrics_without_rows(run):
    assert names(run) == ["config.json", "metrics.csv"]
    assert run.read_config() == CONFIG
    assert lines(run) == [HEADER]


def test_a_training_can_start_in_an_empty_folder(tmp_path):
    RunFolder(tmp_path).start(CONFIG, HASH, "night")
    assert names(RunFolder(tmp_path)) == ["config.json", "metrics.csv"]


@pytest.mark.parametrize("held", ["notes.txt", ".hidden", "checkpoint.safetensors"])
def test_a_folder_with_other_contents_is_rejected_and_stays_as_it_is(tmp_path, held):
    (tmp_path / held).write_text("mine")
    with pytest.raises(ConfigError, match="already exists") as rejected:
        RunFolder(tmp_path).start(CONFIG, HASH, "night")
    assert "--resume" in rejected.value.hint
    assert [path.name for path in tmp_path.iterdir()] == [held]
    assert (tmp_path / held).read_text() == "mine"


def test_a_temporary_file_of_a_killed_run_is_not_a_run(tmp_path):
    (tmp_path / f".config.999999999-{host_digest()}-ab12cd34.stylekit-part.json").write_bytes(b"half")
    RunFolder(tmp_path).start(CONFIG, HASH, "night")
    assert RunFolder(tmp_path).read_name() == "night"


def test_a_run_that_never_reached_a_checkpoint_can_be_started_again(tmp_path):
    RunFolder(tmp_path).start(CONFIG, HASH, "night")
    RunFolder(tmp_path).start(CONFIG, HASH, "day")
    assert RunFolder(tmp_path).read_name() == "day"


def test_temporary_files_do_not_count_as_a_run(tmp_path):
    """Neither those of a killed training nor, in another container, those of one that may still be running."""
    for process, host in ((999999999, host_digest()), (1, host_digest()), (1, "0123abcd")):
        (tmp_path / f".config.{process}-{host}-ab12cd34.stylekit-part.json").write_text("{")
    RunFolder(tmp_path).check_new()
    RunFolder(tmp_path).start(CONFIG, HASH, "night")
    assert RunFolder(tmp_path).read_name() == "night"


def test_samples_of_a_run_without_a_checkpoint_do_not_keep_it_from_starting_again(run, tmp_path):
    run.save_sample(1, Image.new("RGB", (3, 2)))
    run.start(CONFIG, HASH, "day")
    assert run.read_name() == "day"
    (tmp_path / "mine" / "samples").mkdir(parents=True)
    with pytest.raises(ConfigError, match="already exists"):
        RunFolder(tmp_path / "mine").check_new()


def test_a_folder_below_a_file_is_not_called_an_existing_run(tmp_path):
    (tmp_path / "wave").write_text("mine")
    RunFolder(tmp_path / "wave" / "run").check_new()


# --- One training at a time


def test_a_second_training_in_the_folder_is_rejected_while_the_first_one_runs(run):
    with run.lock():
        with pytest.raises(StylekitError, match="is being written by another run") as rejected, run.lock():
            pass
        assert str(run.path) in rejected.value.message
        assert rejected.value.hint == "Wait for that run, or choose another --run-dir."
    with run.lock():
        run.check_new()  # the lock itself does not count
    assert names(run) == ["config.json", "metrics.csv"]


def test_a_file_in_the_folders_place_is_rejected(tmp_path):
    (tmp_path / "wave").write_text("mine")
    with pytest.raises(ConfigError, match="wave"):
        RunFolder(tmp_path / "wave").start(CONFIG, HASH, "night")


# --- Missing permissions


@pytest.mark.parametrize(
    ("file", "use"),
    [
        ("config.json", lambda run: run.read_config()),
        ("config.json", lambda run: run.read_name()),
        ("config.json", lambda run: run.read_start()),
        ("config.json", lambda run: run.check_same(CONFIG, HASH)),
        ("checkpoint.safetensors", lambda run: run.load_checkpoint()),
        ("metrics.csv", lambda run: run.drop_metrics_after(1)),
        (".", lambda run: run.check_new()),
    ],
    ids=["config", "name", "start", "check", "checkpoint", "metrics", "folder"],
)
def test_a_missing_permission_is_called_neither_missing_nor_corrupt(run, without_permission, file, use):
    run.save_checkpoint({}, {})
    without_permission(run.path / file)
    with pytest.raises(StylekitError, match=r"Cannot read .*: Permission denied") as caught:
        use(run)
    assert not isinstance(caught.value, ConfigError)
    assert str(run.path / file) in caught.value.message


# --- Settings


def test_the_same_settings_are_the_same(run):
    run.check_same(TrainConfig.from_dict(CONFIG.to_dict()), HASH)


def changed(**changes):
    return TrainConfig.from_dict({**CONFIG.to_dict(), **changes})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"steps": 31}, "a different --steps."),
        ({"style_layers": {"relu1_1": 0.5, "relu2_1": 2.0}}, "a different --style-layers."),
        ({"content_layers": ["relu3_3"]}, "a different --content-layers."),
        ({"network": "johnson", "seed": 4}, "a different --network, --seed."),
        ({"init_from": "wave"}, "a different --init-from."),
        ({"precision": "bfloat16"}, "a different --precision."),
    ],
)
def test_the_settings_that_differ_are_named(run, changes, named):
    with pytest.raises(ConfigError) as rejected:
        run.check_same(changed(**changes), HASH)
    assert rejected.value.message.endswith(named)


@pytest.mark.parametrize("changes", [{"device": "cuda:1"}, {"loss_weights": "elsewhere.pth"}])
def test_a_resumed_training_may_run_elsewhere(run, changes):
    run.check_same(changed(**changes), HASH)


def test_the_order_of_the_style_layers_makes_no_difference(run):
    run.check_same(changed(style_layers={"relu2_1": 1.0, "relu1_1": 0.5}), HASH)


def test_another_painting_is_noticed(run):
    with pytest.raises(ConfigError, match=r"a different painting\."):
        run.check_same(CONFIG, "1" * 64)


def test_unknown_settings_of_another_version_of_stylekit_are_ignored(run):
    document = json.loads((run.path / "config.json").read_text())
    document["config"]["unheard_of"] = 1
    del document["config"]["stability_weight"]
    (run.path / "config.json").write_text(json.dumps(document))
    assert run.read_config() == CONFIG


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "not JSON",
        "[]",
        '{"config": {}}',
        '{"painting_sha256": "0"}',
        '{"config": 3, "painting_sha256": "0"}',
        '{"config": {"steps": "many"}, "painting_sha256": "0"}',
    ],
    ids=[
        "missing",
        "empty",
        "not JSON",
        "not an object",
        "no hash",
        "no settings",
        "settings not an object",
        "value not a number",
    ],
)
def test_a_folder_without_a_training_cannot_be_resumed(tmp_path, text):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError, match="No training run to resume in") as rejected:
        RunFolder(tmp_path).read_config()
    assert str(tmp_path) in rejected.value.message
    assert "--resume" in rejected.value.hint


# --- Checkpoints

TENSORS = {
    "network.weight": torch.arange(24, dtype=torch.float32).reshape(2, 3, 4),
    "network.transposed": torch.arange(24, dtype=torch.float32).reshape(2, 3, 4).mT,
    "optimiser.0.step": torch.tensor(7.0),
    "half": torch.tensor([0.5, -2], dtype=torch.bfloat16),
}
STATE = {"step": 7, "seconds": 1.25, "recent": [[0.1, 1e-30, 3.0]], "schedule": {"last_epoch": 7}}


def test_a_checkpoint_is_read_back_exactly(run):
    run.save_checkpoint(TENSORS, STATE)
    tensors, state = run.load_checkpoint()
    assert state == STATE
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_a_parameter_that_requires_gradients_can_be_saved(run):
    run.save_checkpoint({"weight": torch.nn.Parameter(torch.ones(2))}, {})
    assert run.load_checkpoint()[0]["weight"].tolist() == [1, 1]


def test_without_a_checkpoint_none_is_loaded(run):
    assert run.load_checkpoint() is None


def test_a_checkpoint_replaces_the_previous_one_and_leaves_nothing_else(run):
    for step in (1, 2):
        run.save_checkpoint({"weight": torch.full((2,), float(step))}, {"step": step})
    assert run.load_checkpoint()[1] == {"step": 2}
    assert names(run) == ["checkpoint.safetensors", "config.json", "metrics.csv"]


def test_a_checkpoint_clears_what_a_killed_run_left(run):
    leftover = run.path / f".checkpoint.999999999-{host_digest()}-ab12cd34.stylekit-part.safetensors"
    leftover.write_bytes(b"half")
    two_hours_ago = time.time() - 7200
    os.utime(leftover, (two_hours_ago, two_hours_ago))
    run.save_checkpoint({}, {})
    assert names(run) == ["checkpoint.safetensors", "config.json", "metrics.csv"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-20]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no safetensors at all"),
        lambda path: save_file({"weight": torch.ones(2)}, path),
        lambda path: save_file({"weight": torch.ones(2)}, path, metadata={"state": "{"}),
        lambda path: save_file({"weight": torch.ones(2)}, path, metadata={"other": "{}"}),
    ],
    ids=["truncated", "empty", "another format", "no metadata", "state not JSON", "no state"],
)
def test_a_corrupt_checkpoint_is_called_corrupt(run, damage):
    run.save_checkpoint(TENSORS, STATE)
    damage(run.path / "checkpoint.safetensors")
    with pytest.raises(ConfigError, match="corrupt") as rejected:
        run.load_checkpoint()
    assert str(run.path) in rejected.value.message


# --- Metrics


def row(step):
    return (step, 10 / step, 1.5, 0.25, 0.125, 0.5 * step)


def test_rows_of_metrics_are_appended(run):
    run.append_metrics(row(1))
    run.append_metrics(row(2))
    assert lines(run) == [HEADER, "1,10.0,1.5,0.25,0.125,0.5", "2,5.0,1.5,0.25,0.125,1.0"]


def steps(run):
    return [int(line.split(",")[0]) for line in lines(run)[1:]]


@pytest.mark.parametrize(
    ("step", "kept"), [(0, []), (1, [1]), (3, [1, 2, 3]), (5, [1, 2, 3, 4, 5]), (9, [1, 2, 3, 4, 5])]
)
def test_rows_after_a_step_are_dropped_and_the_others_stay_as_they_are(run, step, kept):
    for number in range(1, 6):
        run.append_metrics(row(number))
    before = lines(run)
    run.drop_metrics_after(step)
    assert lines(run) == before[: len(kept) + 1]


@pytest.mark.parametrize("half", ["3", "3,", "3,3.33", "3,3.33,1.5,0.25,0.1"])
def test_an_unfinished_last_row_is_dropped_and_the_next_one_gets_its_own_line(run, half):
    run.append_metrics(row(1))
    run.append_metrics(row(2))
    with run.metrics.open("a") as file:
        file.write(half)
    run.drop_metrics_after(9)
    run.append_metrics(row(3))
    assert steps(run) == [1, 2, 3]


@pytest.mark.parametrize("text", [None, "", "step,tot"], ids=["missing", "empty", "half a header"])
def test_metrics_that_were_never_written_start_empty(run, text):
    if text is None:
        run.metrics.unlink()
    else:
        run.metrics.write_text(text)
    run.drop_metrics_after(9)
    assert lines(run) == [HEADER]


# --- Samples


def test_samples_are_named_so_that_they_sort_by_step(run):
    for step in (20, 100):
        run.save_sample(step, Image.new("RGB", (3, 2), (step, 0, 0)))
    samples = sorted((run.path / "samples").iterdir())
    assert [path.name for path in samples] == ["000020.png", "000100.png"]
    with Image.open(samples[1]) as image:
        assert image.size == (3, 2)
        assert image.getpixel((0, 0)) == (100, 0, 0)
