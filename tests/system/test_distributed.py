"""Processes that share a job: the results of one process, faster."""

import dataclasses
import json

import numpy as np
import pytest

from stylekit.errors import ConfigError
from stylekit.styles.locations import own_styles_dir
from stylekit.system import devices
from stylekit.system.devices import select_device
from stylekit.system.distributed import ALONE, World, read_world
from tests.ranks import exchange, gradients_of_a_step, run_ranks, take_a_step, take_steps, train, trainer_of
from tests.training_material import metrics, tiny_config, write_material

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def material(tmp_path, make_photo, vgg_weights):
    return write_material(tmp_path / "material", make_photo, vgg_weights)


# --- Which process this is


def set_environment(monkeypatch, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "TORCHELASTIC_RESTART_COUNT": "2",
    "TORCHELASTIC_RUN_ID": "night",
}


def test_without_torchrun_there_is_one_process(monkeypatch):
    assert read_world() is ALONE
    set_environment(monkeypatch, RANK="3")  # set by another program
    assert read_world() is ALONE
    assert (ALONE.is_leader, ALONE.is_distributed, ALONE.threads) == (True, False, None)


def test_what_torchrun_sets_is_read(monkeypatch):
    set_environment(monkeypatch, **TORCHRUN)
    assert read_world() == World(rank=5, size=8, local_rank=1, local_size=4, restarts=2, job="night")
    assert (read_world().is_leader, read_world().is_distributed) == (False, True)


@pytest.mark.parametrize(
    "wrong",
    [{"RANK": "8"}, {"RANK": "-1"}, {"RANK": "x"}, {"RANK": ""}, {"WORLD_SIZE": "0"}, {"LOCAL_WORLD_SIZE": "0"}],
    ids=str,
)
def test_an_environment_that_contradicts_itself_is_refused(monkeypatch, wrong):
    set_environment(monkeypatch, **{**TORCHRUN, **wrong})
    with pytest.raises(ConfigError, match="WORLD_SIZE") as refused:
        read_world()
    assert "torchrun" in refused.value.hint


def test_a_size_without_a_rank_is_refused(monkeypatch):
    set_environment(monkeypatch, WORLD_SIZE="2")
    with pytest.raises(ConfigError):
        read_world()


@pytest.mark.parametrize(
    ("asked", "local_rank", "silent", "chosen"),
    [
        ("auto", 0, "", "cuda:0"),
        ("auto", 1, "", "cuda:1"),
        ("cuda", 1, "", "cuda:1"),
        ("auto", 2, "", "cuda:0"),
        ("auto", 1, "cuda:1", "cuda:0"),
        ("cuda:0", 1, "", "cuda:0"),
        ("cpu", 1, "", "cpu"),
    ],
)
def test_each_process_of_a_machine_selects_another_gpu(monkeypatch, asked, local_rank, silent, chosen):
    probed = []
    monkeypatch.setattr(devices, "_gpus", lambda: ["cuda:0", "cuda:1"])
    monkeypatch.setattr(devices, "_works", lambda gpu: probed.append(gpu) or gpu != silent)
    set_environment(monkeypatch, RANK="0", WORLD_SIZE="3", LOCAL_RANK=str(local_rank))
    assert select_device(asked) == chosen
    assert set(probed) <= {chosen, silent}  # a test allocation takes memory on the GPU


# --- What they exchange


def test_processes_average_combine_and_broadcast(tmp_path):
    answers = run_ranks(tmp_path, exchange)
    assert answers[0] == answers[1]
    means = answers[0]["means"]
    assert means[0] == [[1.5] * 3] * 2
    assert np.array_equal(means[1], np.arange(8).reshape(1, 2, 2, 2) / 2)
    assert means[2] == 5
    assert answers[0]["any"] == [False, True, True]
    assert answers[0]["sent"] == "from rank 0"


# --- Training


@pytest.mark.parametrize("stability", [0.0, 100.0], ids=["plain", "with the stability term"])
def test_a_step_of_two_processes_is_that_of_one_with_both_batches(material, tmp_path, stability):
    config = tiny_config(material, batch_size=2, seed=3, stability_weight=stability)
    reached = run_ranks(tmp_path, take_a_step, config, material)
    joined, gradients = gradients_of_a_step(*trainer_of(ALONE, dataclasses.replace(config, batch_size=4), material))
    np.testing.assert_allclose(reached, [joined, joined], rtol=1e-5)
    largest = max(np.abs(gradient).max() for gradient in gradients.values())
    assert largest > 1e-2  # else nothing was compared
    for rank in range(2):
        with np.load(tmp_path / f"gradients-{rank}.npz") as each:
            assert set(each) == set(gradients)
            assert max(np.abs(each[name] - gradients[name]).max() for name in gradients) < 1e-5 * max(1, largest)


def test_after_twenty_steps_the_weights_are_equal_in_both_processes(material, tmp_path):
    first, second = run_ranks(tmp_path, take_steps, tiny_config(material, steps=20, learning_rate=2e-3), material)
    assert first == second
    assert (
        min(losses[0] for losses in first) < first[0][0]
    )  # it learns; the losses of single steps on such small crops jump
    with np.load(tmp_path / "weights-0.npz") as one, np.load(tmp_path / "weights-1.npz") as other:
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_only_rank_0_writes(material, tmp_path):
    first, second = run_ranks(tmp_path, train, tiny_config(material, steps=3), material)
    assert [report["steps"] for report in (first, second)] == [[1, 2, 3]] * 2
    assert [report["error"] for report in (first, second)] == ["", ""]
    assert second["written"] == []
    assert {"metrics.csv", "config", "checkpoint", "000003"} <= set(first["written"])
    assert sorted(path.name for path in (tmp_path / "run" / "samples").iterdir()) == [
        f"{step:06d}.png" for step in (1, 2, 3)
    ]
    assert len(metrics(tmp_path / "run")) == 3
    assert (own_styles_dir() / "wave.safetensors").is_file()


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_stop_of_one_stops_all_and_they_resume_as_if_nothing_had_happened(material, tmp_path, stopped):
    config = tiny_config(material, steps=5)
    stopped_run, whole_run = tmp_path / "stopped", tmp_path / "whole"
    for folder in (stopped_run, whole_run):
        folder.mkdir()
    answers = run_ranks(stopped_run, train, config, material, None, stopped, "stops")
    assert [answer["error"] for answer in answers] == ["KeyboardInterrupt"] * 2
    assert len(metrics(stopped_run / "run")) == 2
    answers = run_ranks(stopped_run, train, config, material, {"resume": True})
    assert [answer["steps"] for answer in answers] == [[3, 4, 5]] * 2
    run_ranks(whole_run, train, config, material, {"force": True})
    assert np.abs(metrics(stopped_run / "run") - metrics(whole_run / "run")).max() < 1e-4


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_a_training_can_be_resumed_by_another_number_of_processes(material, tmp_path, before, after):
    config = tiny_config(material, steps=4)
    answers = run_ranks(tmp_path, train, config, material, None, 0, "stops", size=before)
    assert [answer["error"] for answer in answers] == ["KeyboardInterrupt"] * before
    rows = metrics(tmp_path / "run")
    answers = run_ranks(tmp_path, train, config, material, {"resume": True}, size=after)
    assert [answer["steps"] for answer in answers] == [[3, 4]] * after
    assert np.array_equal(metrics(tmp_path / "run")[:2], rows)
    assert len(metrics(tmp_path / "run")) == 4


def test_restarted_processes_resume_without_being_asked(material, tmp_path):
    """As torchrun restarts them; of several machines, only some may have counted the restart."""
    config = tiny_config(material, steps=4)
    run_ranks(tmp_path, train, config, material, None, 1, "stops", restarts=(0, 1))  # nothing to resume yet
    assert len(metrics(tmp_path / "run")) == 2
    answers = run_ranks(tmp_path, train, config, material, restarts=(0, 1))
    assert [answer["steps"] for answer in answers] == [[3, 4]] * 2


def test_two_processes_do_not_reuse_a_run_folder_either(material, tmp_path):
    config = tiny_config(material, steps=2)
    run_ranks(tmp_path, train, config, material)
    style = (tmp_path / "run" / "wave.safetensors").read_bytes()
    answers = run_ranks(tmp_path, train, config, material, {"force": True})
    assert answers[0]["error"] == "ConfigError"
    assert answers[1]["error"] == "RankLost"
    assert (tmp_path / "run" / "wave.safetensors").read_bytes() == style


@pytest.mark.parametrize(
    ("trouble", "errors"),
    [("leaves", ["RankLost", "MemoryError"]), ("diverges", ["TrainingDiverged", "TrainingDiverged"])],
)
def test_no_process_waits_for_one_that_has_failed(material, tmp_path, trouble, errors):
    answers = run_ranks(tmp_path, train, tiny_config(material, steps=4), material, None, 1, trouble)
    assert [answer["error"] for answer in answers] == errors
    assert [answer["steps"] for answer in answers] == [[1, 2]] * 2
    assert not (tmp_path / "run" / "wave.safetensors").exists()


def test_the_recipe_says_how_many_processes_there_were(material, tmp_path):
    run_ranks(tmp_path, train, tiny_config(material, steps=1), material)
    from stylekit.styles.style_file import load_style_file

    recipe = load_style_file(tmp_path / "run" / "wave.safetensors").metadata.trained_with
    assert (recipe["processes"], recipe["batch_size"]) == (2, 1)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["config"]["batch_size"] == 1
