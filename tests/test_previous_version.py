"""Files that version 0.1.0 wrote: a style, and a training interrupted after two of four steps."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylekit.styles.locations import own_styles_dir
from stylekit.styles.style_file import load_style_file
from stylekit.training.run_folder import RunFolder
from stylekit.training.train import train_style

WRITTEN = Path(__file__).with_name("data") / "0.1.0"


def test_a_style_file_loads_and_paints(stylekit, make_photo, tmp_path):
    style = load_style_file(WRITTEN / "small.safetensors")
    assert (style.metadata.network, style.metadata.title) == ("fast", "A painting")
    assert style.weights["out.weight"].dtype == np.float16
    make_photo(64, 48).save(tmp_path / "a.png")
    code, _, err = stylekit(
        "apply", tmp_path / "a.png", "--style", WRITTEN / "small.safetensors", "-o", tmp_path / "b.png"
    )
    assert code == 0, err
    with Image.open(tmp_path / "b.png") as painted:
        assert painted.size == (64, 48)


def test_a_style_kept_by_it_is_found_by_its_name(stylekit):
    own_styles_dir().mkdir(parents=True)
    shutil.copy(WRITTEN / "small.safetensors", own_styles_dir())
    code, out, err = stylekit("styles", "list")
    assert code == 0, err
    assert "small" in out


@pytest.mark.usefixtures("one_thread")
def test_an_interrupted_training_resumes(make_photo, monkeypatch, tmp_path):
    folder = tmp_path / "0.1.0"
    shutil.copytree(WRITTEN, folder)
    monkeypatch.chdir(folder)
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(3):
        make_photo(48, 48, seed).save(photos / f"{seed}.png")
    config = RunFolder(folder / "run").read_config()
    assert (config.style_loss, config.network) == ("gram", "fast")
    steps = []
    train_style(
        folder / "painting.png",
        photos,
        config,
        name="old",
        run_dir=folder / "run",
        resume=True,
        on_step=lambda report: steps.append(report.step),
    )
    assert steps == [3, 4]
    assert load_style_file(own_styles_dir() / "old.safetensors").metadata.network == "fast"
