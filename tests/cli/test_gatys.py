"""`stylekit gatys` as it is typed: options, messages, exit codes, and Ctrl-C."""

import json
import re
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from stylekit._version import __version__
from stylekit.config.gatys import GatysConfig
from tests.image_material import read_image

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def files(tmp_path, make_photo, vgg_weights, monkeypatch):
    """Return a working folder with a photo, two paintings and loss weights."""
    monkeypatch.chdir(tmp_path)
    make_photo(48, 40, seed=1).save("lion.jpg")
    make_photo(64, 50, seed=2).save("a.png")
    make_photo(50, 64, seed=3).save("b.png")
    save_file(vgg_weights, "vgg.safetensors")
    return tmp_path


PATIENCE = 60  # seconds after which a process is given up
QUICK = ("--size", "40", "--steps", "2", "--loss-weights", "vgg.safetensors", "--device", "cpu")


def test_an_image_is_optimized_and_its_path_printed(files, stylekit):
    code, out, err = stylekit("gatys", "lion.jpg", "a.png", "-o", "out.png", *QUICK)
    assert (code, out) == (0, "out.png\n")
    assert read_image("out.png").size == (40, 33)
    assert "The loss network ends at relu3_3: content at relu3_3, style up to relu3_1." in err
    assert re.search(r"100%  0:00:\d\d, 0:00:00 left  40 x 33 px  step 2/2  total", err)


def test_quiet_prints_the_path_alone(files, stylekit):
    assert stylekit("gatys", "lion.jpg", "a.png", "-o", "out.png", "--quiet", *QUICK) == (0, "out.png\n", "")


def test_json_is_one_document(files, stylekit):
    code, out, _ = stylekit("gatys", "lion.jpg", "a.png", "-o", "out.png", "--json", *QUICK)
    assert code == 0
    assert json.loads(out) == {"path": "out.png", "width": 40, "height": 33}


def test_every_option_is_passed_to_the_optimization(files, stylekit, monkeypatch):
    seen: dict[str, Any] = {}
    Image.new("L", (48, 40)).save("mask.png")

    def record(photo, paintings, config, *, mask, **callbacks):
        seen.update(photo=photo, paintings=paintings, config=config, mask=mask)
        return Image.new("RGB", (4, 4))

    monkeypatch.setattr("stylekit.optimization.optimize.gatys", record)
    options = {
        "--style-weights": "2,1",
        "--size": "99",
        "--steps": "7",
        "--optimizer": "adam",
        "--lr": "0.5",
        "--init": "noise",
        "--style-scale": "1.5",
        "--style-loss": "moments",
        "--content-layers": "relu2_2,relu3_3",
        "--style-layers": "relu1_1:3,relu2_1",
        "--content-weight": "4",
        "--style-weight": "5",
        "--tv-weight": "6",
        "--pooling": "avg",
        "--mask": "mask.png",
        "--save-every": "8",
        "--seed": "9",
        "--loss-weights": "vgg.safetensors",
        "--max-pixels": "1000000",
        "--device": "cpu",
    }
    arguments = [part for option in options.items() for part in option]
    code, _, _ = stylekit("gatys", "lion.jpg", "a.png", "b.png", "-o", "out.png", "--keep-colors", *arguments)
    assert code == 0
    assert [path.name for path in (seen["photo"], *seen["paintings"], seen["mask"])] == [
        "lion.jpg",
        "a.png",
        "b.png",
        "mask.png",
    ]
    assert seen["config"] == GatysConfig(
        size=99,
        steps=7,
        optimizer="adam",
        learning_rate=0.5,
        init="noise",
        painting_weights=(2.0, 1.0),
        style_scale=1.5,
        style_loss="moments",
        content_layers=("relu2_2", "relu3_3"),
        style_layers={"relu1_1": 3.0, "relu2_1": 1.0},
        content_weight=4.0,
        style_weight=5.0,
        tv_weight=6.0,
        pooling="avg",
        keep_colors=True,
        save_every=8,
        seed=9,
        loss_weights="vgg.safetensors",
        max_pixels=1_000_000,
        device="cpu",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["no.jpg", "a.png", "-o", "out.png"], 1, "no.jpg"),
        (["lion.jpg", "no.png", "-o", "out.png"], 1, "no.png"),
        (["lion.jpg", ".", "-o", "out.png"], 1, ". is a folder"),
        (["lion.jpg", "tiny.png", "-o", "out.png"], 1, "The painting is too small: 8 x 8 px"),
        (["lion.jpg", "a.png", "-o", "out.png", "--mask", "tiny.png"], 1, "Mask and photo differ in size"),
        (["lion.jpg", "a.png", "-o", "out.png", "--init", "no.png"], 1, "no.png"),
        (["lion.jpg", "vgg.safetensors", "-o", "out.png"], 1, "vgg.safetensors"),
        (["lion.jpg", "a.png", "-o", "out.png", "--max-pixels", "100"], 1, "raise --max-pixels"),
        (["lion.jpg", "a.png", "-o", "out.png", "--size", "0"], 2, "--size must be 16 or more, not 0"),
        (
            ["lion.jpg", "a.png", "-o", "out.png", "--style-weights", "1,2"],
            2,
            "one weight per painting (1), not 2",
        ),
        (
            ["lion.jpg", "a.png", "-o", "out.png", "--style-weights", "much"],
            2,
            "must be numbers such as 2,1, not 'much'",
        ),
        (
            ["lion.jpg", "a.png", "-o", "out.png", "--optimizer", "sgd"],
            2,
            "--optimizer must be lbfgs or adam",
        ),
        (["lion.jpg", "a.png", "-o", "out.png", "--quality", "0"], 2, "--quality must be between 1 and 100, not 0"),
        (["lion.jpg", "a.png", "-o", "out.txt"], 2, "Cannot write images as '.txt'"),
        (["lion.jpg", "a.png", "-o", "."], 2, "Cannot write images without a suffix"),
        (["lion.jpg", "a.png", "-o", "lion.jpg", "--overwrite"], 2, "one of the inputs"),
        (
            ["lion.jpg", "a.png", "b.png", "-o", "out.png", "--style-weights", "1"],
            2,
            "one weight per painting (2), not 1",
        ),
        (["lion.jpg", "a.png", "-o", "b.png", "--init", "b.png", "--overwrite"], 2, "one of the inputs"),
        (["lion.jpg", "a.png", "-o", "a.png/out.png"], 1, "Cannot write a.png/out.png: Not a directory"),
        (
            ["lion.jpg", "a.png", "-o", "out.png", "--content-layers", "relu3_3:2"],
            2,
            "--content-layers takes no weights",
        ),
        (["lion.jpg", "a.png", "-o", "b.png"], 1, "b.png already exists"),
        (["lion.jpg", "a.png"], 2, "--output"),
        (["lion.jpg", "-o", "out.png"], 2, "PAINTING"),
    ],
)
def test_wrong_input_is_one_clear_error_and_writes_nothing(arguments, code, message, files, stylekit, make_photo):
    make_photo(8, 8).save("tiny.png")
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    quick = [part for part in QUICK if "--size" not in arguments or part not in ("--size", "40")]
    exit_code, out, err = stylekit("gatys", *arguments, *quick)
    assert exit_code == code
    assert out == ""
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in err
    assert "Traceback" not in err
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before


def test_the_result_can_replace_another_image(files, stylekit):
    Image.new("RGB", (3, 3)).save("out.png")
    assert stylekit("gatys", "lion.jpg", "a.png", "-o", "out.png", "--overwrite", *QUICK)[0] == 0
    assert read_image("out.png").size == (40, 33)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_saves_the_image_so_far(files, number):
    command = [sys.executable, "-m", "stylekit", "gatys", "lion.jpg", "a.png", "-o", "out.png"]
    process = subprocess.Popen(
        [*command, *QUICK, "--steps", "100000", "--save-every", "1"], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + PATIENCE
    while not Path("out.png").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Saved the current image as out.png." in errors
    assert "Traceback" not in errors
    assert np.asarray(Image.open("out.png")).shape == (33, 40, 3)
    assert not [path for path in files.iterdir() if "part" in path.name]


def test_an_output_that_cannot_be_written_is_refused_before_any_work(files, stylekit, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr("stylekit.optimization.optimize.gatys", lambda *_, **__: pytest.fail("it was painted"))
    code, _, err = stylekit("gatys", "lion.jpg", "a.png", "-o", "new/out.heic", *QUICK)
    assert code == 1
    assert "out.heic is HEIC, which needs an extra." in err
    assert not Path("new").exists()


def test_running_out_of_memory_saves_the_image_so_far(files, stylekit, monkeypatch):
    from stylekit.errors import OutOfMemory

    def fail(photo, paintings, config, *, on_image, **_):
        on_image(Image.new("RGB", (40, 33)))
        raise OutOfMemory("Out of memory on cuda:0.", "--size 24 would fit.")

    monkeypatch.setattr("stylekit.optimization.optimize.gatys", fail)
    code, out, err = stylekit("gatys", "lion.jpg", "a.png", "-o", "out.png", *QUICK)
    assert (code, out) == (1, "")
    assert "Saved the current image as out.png." in err
    assert read_image("out.png").size == (40, 33)


def test_notes_about_the_photo_are_printed(files, stylekit, make_photo):
    frames = [make_photo(48, 40, seed=seed) for seed in (1, 2)]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
    _, _, err = stylekit("gatys", "moving.gif", "a.png", "-o", "out.png", *QUICK)
    assert "note moving.gif: animated: only the first of 2 frames is used" in err


def test_metadata_can_be_stripped(files, stylekit, make_photo):
    exif = Image.Exif()
    exif[0x010E] = "a lion"
    make_photo(48, 40, seed=1).save("lion.jpg", exif=exif)
    stylekit("gatys", "lion.jpg", "a.png", "-o", "with.jpg", *QUICK)
    stylekit("gatys", "lion.jpg", "a.png", "-o", "without.jpg", "--strip-metadata", *QUICK)
    assert read_image("with.jpg").getexif()[0x010E] == "a lion"
    assert not read_image("without.jpg").getexif()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_the_result_carries_its_recipe(files, stylekit, suffix):
    command = ("gatys", "lion.jpg", "a.png", "b.png", "--style-weights", "3,1", "--init", "noise", *QUICK)
    assert stylekit(*command, "-o", f"out.{suffix}")[0] == 0
    code, out, _ = stylekit("info", f"out.{suffix}", "--json")
    recipe = json.loads(out)["recipe"]
    assert (code, recipe["stylekit"], recipe["method"]) == (0, __version__, "gatys")
    assert recipe["styles"] == [
        {"name": name, "painting_sha256": sha256(Path(name).read_bytes()).hexdigest(), "share": share}
        for name, share in (("a.png", 0.75), ("b.png", 0.25))
    ]
    options = {"size": 40, "steps": 2, "optimizer": "lbfgs", "init": "noise", "seed": 0, "style_weight": 20.0}
    assert options.items() <= recipe["options"].items()
    assert {"loss_weights", "device", "learning_rate", "style_layers"}.isdisjoint(recipe["options"])
    assert re.search(r"a\.png +0\.75 \(painting [0-9a-f]{12}\)", stylekit("info", f"out.{suffix}")[1])
    assert stylekit(*command, "-o", f"bare.{suffix}", "--strip-metadata")[0] == 0
    assert stylekit("info", f"bare.{suffix}")[0] == 1


def test_the_recipe_names_files_without_their_folders(files, stylekit):
    Image.new("L", (48, 40), 255).save("mask.png")
    arguments = ("--init", str(files / "b.png"), "--mask", str(files / "mask.png"), "--optimizer", "adam", *QUICK)
    assert stylekit("gatys", "lion.jpg", str(files / "a.png"), "-o", "out.png", *arguments)[0] == 0
    recipe = json.loads(stylekit("info", "out.png", "--json")[1])["recipe"]
    assert recipe["styles"][0]["name"] == "a.png"
    assert (recipe["options"]["init"], recipe["options"]["mask"]) == ("b.png", "mask.png")
    assert recipe["options"]["learning_rate"] == 0.02


def test_apply_skips_the_result_unless_it_is_asked_for(files, stylekit, style_path):
    Path("holiday").mkdir()
    assert stylekit("gatys", "lion.jpg", "a.png", "-o", "holiday/lion-a.png", *QUICK)[0] == 0
    _, out, err = stylekit("apply", "holiday", "-s", style_path, "-o", "out")
    assert out == ""
    assert "1 skipped: painted by stylekit (--again paints it anyway)" in err
    _, out, _ = stylekit("apply", "holiday", "-s", style_path, "-o", "out", "--again")
    assert out == "out/lion-a-small.png\n"
    Path("holiday/lion-a.png").rename("out/lion-small.jpg")
    Path("lion.jpg").rename("holiday/lion.jpg")
    _, _, err = stylekit("apply", "holiday", "-s", style_path, "-o", "out")
    assert "painted with other settings: stylekit gatys" in err
