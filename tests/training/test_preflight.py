"""What can be known before a training is found at once: without torch, and without a download."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from stylekit.config.apply import ApplyConfig
from stylekit.config.checks import MAX_PIXELS
from stylekit.config.gatys import GatysConfig
from stylekit.errors import ConfigError, ImageError, StyleFileError, StylekitError
from stylekit.styles.locations import own_styles_dir
from stylekit.training.photos import open_photos
from stylekit.training.preflight import check_places
from stylekit.training.run_folder import RunFolder
from stylekit.training.train import train_style
from tests.training_material import tiny_config, write_material

# Runs a command, prints its exit code, which of the heavy modules were imported, and the seconds that it took.
SCRIPT = """
import json, socket, sys, time

def connect(self, address):
    raise AssertionError(f"something is downloaded from {address}")

socket.socket.connect = connect
from stylekit.cli.app import run

began = time.monotonic()
code = run(sys.argv[1:])
heavy = sorted({"torch", "torchvision", "onnx", "onnxruntime"} & sys.modules.keys())
print(json.dumps([code, heavy, time.monotonic() - began]))
"""


@pytest.fixture
def material(tmp_path, make_photo, vgg_weights):
    return write_material(tmp_path / "material", make_photo, vgg_weights)


@pytest.fixture
def train(material, tmp_path):
    """Run `stylekit train` in a process of its own, without loss weights in the cache; return what it did."""

    def train(*options, content=material.photos, painting=material.painting):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, "train", painting, "--content", content, "--name", "wave", *options],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        code, heavy, seconds = json.loads(done.stdout.splitlines()[-1])
        return code, heavy, seconds, done.stderr

    return train


def taken_name(folder, style_path):
    own_styles_dir().mkdir(parents=True)
    shutil.copy(style_path, own_styles_dir() / "wave.safetensors")


def foreign_run_folder(folder, style_path):
    (folder / "run").mkdir()
    (folder / "run" / "notes.txt").write_text("mine")


def file_in_place_of_the_data(folder, style_path):
    Path(os.environ["STYLEKIT_HOME"], "data").write_text("not a folder")


def empty_folder(folder, style_path):
    (folder / "empty").mkdir()


def garbage(folder, style_path):
    (folder / "weights.pth").write_bytes(b"garbage" * 100)


@pytest.mark.parametrize(
    ("prepare", "options", "content", "code", "message"),
    [
        (taken_name, [], None, 2, "wave"),
        (None, [], "nowhere", 1, "nowhere does not exist"),
        (empty_folder, [], "empty", 1, "2 or more readable photos: 0 found"),
        (foreign_run_folder, ["--run-dir", "run"], None, 2, "The run folder run already exists"),
        (None, ["--run-dir", "material/photos/0.png/run"], None, 1, "Cannot write material/photos/0.png/run"),
        (None, ["--resume"], None, 2, "No training run to resume"),
        (None, ["--loss-weights", "nowhere.pth"], None, 1, "nowhere.pth does not exist"),
        (garbage, ["--loss-weights", "weights.pth"], None, 1, "weights.pth is not a PyTorch file"),
        (None, ["--loss-weights", "material/vgg.safetensors", "--style-layers", "relu4_1"], None, 1, "end at relu3_3"),
        (file_in_place_of_the_data, [], None, 1, "Cannot write"),
        (None, ["--init-from", "nonesuch"], None, 1, "nonesuch"),
        (None, ["--preview", "material/vgg.safetensors"], None, 1, "vgg.safetensors is not a readable image"),
    ],
    ids=[
        "taken name",
        "no folder of photos",
        "no photos",
        "bad run folder",
        "unwritable run folder",
        "nothing to resume",
        "missing weights",
        "unreadable weights",
        "incomplete weights",
        "unwritable data folder",
        "unknown start",
        "unreadable preview",
    ],
)
def test_it_is_found_before_torch_and_before_any_download(
    train, tmp_path, style_path, prepare, options, content, code, message
):
    if prepare:
        prepare(tmp_path, style_path)
    found, heavy, seconds, err = train(*options, **({"content": content} if content else {}))
    assert found == code, err
    assert message in err
    assert heavy == []
    assert seconds < 5  # 0.3 on an idle machine
    assert "Loading" not in err


def test_a_locked_run_folder_is_found_before_torch_and_before_any_download(train, tmp_path):
    with RunFolder(tmp_path / "run").lock():
        code, heavy, _, err = train("--run-dir", "run")
    assert (code, heavy) == (1, [])
    assert "is being written by another run" in err


# --- The places


@pytest.mark.parametrize("run_dir", ["new", "new/er", "there"])
def test_places_that_can_be_written_pass_and_nothing_stays(tmp_path, run_dir):
    (tmp_path / "there").mkdir()
    check_places("wave", RunFolder(tmp_path / run_dir), resume=False, force=False)
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]
    assert not own_styles_dir().exists()


def test_a_data_folder_that_cannot_be_written_says_how_to_choose_another(tmp_path):
    file_in_place_of_the_data(tmp_path, None)
    with pytest.raises(StyleFileError) as caught:
        check_places("wave", RunFolder(tmp_path / "run"), resume=False, force=False)
    assert str(own_styles_dir()) in caught.value.message
    assert "STYLEKIT_HOME" in caught.value.hint


def test_a_run_folder_that_cannot_be_written_says_how_to_choose_another(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StylekitError, match=r"Cannot write .*run: Not a directory") as caught:
        check_places("wave", RunFolder(tmp_path / "file" / "run"), resume=False, force=False)
    assert "--run-dir" in caught.value.hint


def test_a_taken_name_is_free_for_the_training_that_is_resumed_and_by_force(tmp_path, style_path, material):
    taken_name(tmp_path, style_path)
    run = RunFolder(tmp_path / "run")
    with pytest.raises(ConfigError, match="wave"):
        check_places("wave", run, resume=False, force=False)
    check_places("wave", run, resume=False, force=True)
    run.start(tiny_config(material), "0" * 64, "wave")
    check_places("wave", run, resume=True, force=False)


# --- One limit of pixels


def test_training_has_the_limit_of_pixels_of_the_other_commands():
    assert ApplyConfig.max_pixels == GatysConfig.max_pixels == MAX_PIXELS


@pytest.mark.parametrize("which", ["painting", "preview"])
def test_a_painting_or_preview_over_the_limit_is_rejected_without_naming_an_option_that_train_lacks(
    material, tmp_path, monkeypatch, which
):
    monkeypatch.setattr("stylekit.training.preflight.MAX_PIXELS", 5000)
    Image.new("RGB", (80, 80)).save(tmp_path / "large.png")
    images = {"painting": material.painting, "preview": material.preview, which: tmp_path / "large.png"}
    with pytest.raises(ImageError, match=r"large\.png.* 5,000") as caught:
        train_style(
            images["painting"],
            open_photos(material.photos),
            tiny_config(material),
            name="wave",
            run_dir=tmp_path / "run",
            previews=[images["preview"]],
        )
    assert "--max-pixels" not in caught.value.hint
