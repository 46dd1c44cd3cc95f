"""A newcomer's first hour: the README's commands, then the mistakes that newcomers have made.

Each mistake ends with its exit code, one line that says what is wrong, and a hint with the command that was meant.
"""

import json
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.main import get_command

from stylekit.cli.app import app
from stylekit.cli.process import expand_patterns
from tests.video_material import photo, write_video

README = Path(__file__).parents[2] / "README.md"

# What makes the slow commands quick.
QUICK = {
    "train": "--steps 1 --batch-size 1 --crop-size 64 --octaves 1 --style-size 64 --init-from none --device cpu "
    "--loss-network compact --content-layers relu3_1 --style-layers relu1_1",
    "gatys": "--size 32 --steps 1 --loss-network compact --device cpu",
}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def type_in(tmp_path, make_photo, stylekit, monkeypatch):
    """Return a function that runs a command line in a folder of photos, without a network."""
    for seed, name in enumerate(["lion.jpg", "night.jpg", "photos/1.jpg", "photos/2.jpg", "docs/images/harbour.jpg"]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        make_photo(64, 48, seed).save(tmp_path / name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("Buy milk.")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STYLEKIT_OFFLINE", "1")

    def run(line):
        program, *words = expand_patterns(shlex.split(line))
        assert program == "stylekit"
        return stylekit(*words)

    return run


def commands_of_the_readme():
    """Return the commands in the README's code blocks, in order."""
    blocks = re.findall(r"^```\n(.*?)^```$", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = [
        line.partition("#")[0].partition("&& ")[2] or line.partition("#")[0] for line in "".join(blocks).splitlines()
    ]
    commands = [line.strip() for line in lines if line.startswith("stylekit ")]
    return [f"{line} {QUICK.get(line.split()[1], '')}".strip() for line in commands]


def test_the_commands_of_the_readme_work_one_after_the_other(type_in):
    commands = commands_of_the_readme()
    assert {line.split()[1] for line in commands} == {"apply", "sheet", "train", "gatys", "styles", "info", "help"}
    known = "|".join(getattr(get_command(app), "commands", {}))
    written = re.findall(rf"(?:^|&& )stylekit (?:{known}|help)\b", README.read_text("utf-8"), re.MULTILINE)
    assert len(commands) == len(written)
    has_video = find_spec("av") is not None
    if has_video:
        write_video(Path("clip.mp4"), [photo(number) for number in range(3)])
    for line in commands:
        if "clip.mp4" not in line or has_video:
            code, out, err = type_in(line)
            assert (code, line) == (0, line), err
            assert out
            assert "Traceback" not in err
    assert Path("lion-starry-night.jpg").is_file()
    assert not list(Path().rglob("*starry-night-starry-night*"))  # `*.jpg` names earlier results too


MISTAKES = [
    # A batch that was asked for something else, and results that are one file's
    (
        "apply lion.jpg photos -s udnie -o out.jpg",
        2,
        "--output out.jpg is the name of a single file, but a folder's results",
        "out/",
    ),
    (
        "apply lion.jpg -s udnie -s bridge -o x.jpg",
        2,
        "--output x.jpg is the name of a single file, but several results",
        "x/",
    ),
    ("apply lion.jpg -s udnie -o a.jxl", 2, "Cannot write .jxl files", "Images are written as .jpg, .png"),
    ("apply lion.jpg -s udnie -o a.pdf", 2, "Cannot write .pdf files", "a folder's name ends in /"),
    ("apply photos -s udnie -o both.mp4", 2, "--output both.mp4 is the name of a single file", "both/"),
    # What a command can know before it begins
    ("train night.jpg --content photos --name udnie", 2, "udnie is a bundled style.", "another --name"),
    ("train night.jpg --content photos --name 'My Style'", 2, "Invalid style name 'My Style'.", "lower-case"),
    ("train night.jpg --content empty", 1, "Training needs 2 or more readable photos", "--content"),
    ("train night.jpg --content gone", 1, "gone does not exist.", "`coco`"),
    ("train night.jpg --content lion.jpg", 1, "lion.jpg is neither a folder nor a zip archive.", "--content"),
    ("train gone.jpg --content photos", 1, "gone.jpg does not exist.", ""),
    ("train night.jpg --content photos --run-dir photos", 2, "The run folder photos already exists.", "--resume"),
    ("train night.jpg --content photos --resume", 2, "No training run to resume in runs/night.", "Leave out --resume"),
    ("train night.jpg --content photos --loss-weights lion.jpg", 1, "lion.jpg is not a PyTorch file.", "vgg19"),
    # Command lines that mean something other than they say
    ("apply lion.jpg -s udnie,bridge", 2, "--style takes one style, not 'udnie,bridge'.", "-s udnie --style bridge`?"),
    (
        "apply lion.jpg --style=udnie:0.5,bridge:0.5 --blend",
        2,
        "--style takes one style",
        "=udnie:0.5 --style bridge:0.5",
    ),
    ("apply lion.jpg -s bridge udnie", 2, "udnie is a style, not a photo.", "-s bridge --style udnie`?"),
    (
        "apply https://a.example/b/x.jpg?w=1 -s udnie",
        2,
        "https://a.example/b/x.jpg?w=1 is a URL",
        "`stylekit apply x.jpg -s",
    ),
    (
        "apply lion.jpg -s udnie -o x.mp4",
        2,
        "lion.jpg is a photo, and x.mp4 would be a video.",
        "lion.jpg -s udnie -o x.jpg`",
    ),
    (
        "apply lion.jpg -s night.jpg",
        2,
        "night.jpg is an image, not a style.",
        "`stylekit gatys lion.jpg night.jpg --output",
    ),
    ("apply lion.jpg -s nigth", 1, "Unknown style 'nigth'.", ""),
    ("lion.jpg -s udnie", 2, "Missing command before lion.jpg.", "Did you mean `stylekit apply lion.jpg -s udnie`?"),
    ("photos", 2, "Missing command before photos.", "Did you mean `stylekit apply photos`?"),
    ("udnie lion.jpg", 2, "udnie is a style, not a command.", "Did you mean `stylekit apply lion.jpg --style udnie`?"),
    ("aply lion.jpg", 2, "Unknown command 'aply'.", "Did you mean apply?"),
    ("help nonsense", 2, "Unknown command 'nonsense'.", "See `stylekit -h`."),
    ("train night.jpg", 2, "Missing --content.", "for example: `stylekit train night.jpg --content photos/`."),
    ("train udnie --content photos", 2, "udnie is a style, not a painting.", "--style udnie`?"),
    ("gatys lion.jpg night.jpg", 2, "Missing --output.", "`stylekit gatys lion.jpg night.jpg --output result.jpg`."),
    ("gatys lion.jpg udnie", 2, "udnie is a style, not a painting.", "`stylekit apply lion.jpg --style udnie`?"),
    ("gatys lion.jpg udnie -o x.png", 2, "udnie is a style, not a painting.", "--style udnie --output x.png`?"),
    (
        "gatys lion.jpg https://a.example/n.jpg -o x.png",
        2,
        "https://a.example/n.jpg is a URL",
        "gatys lion.jpg n.jpg -o",
    ),
    ("gatys lion.jpg night.jpg -o x.gif", 2, "Cannot write images as '.gif'.", ".png"),
    ("styles import lion.jpg --name x", 1, "lion.jpg is an image, not a weights file.", "`stylekit train lion.jpg"),
    ("styles import gone.pth --name x", 1, "gone.pth does not exist.", ""),
    ("styles import w.pth", 2, "Missing --name.", "`stylekit styles import w.pth --name my-style`."),
    ("styles export udnie", 2, "Missing --onnx.", "`stylekit styles export udnie --onnx style.onnx`."),
    # Inputs that are none
    ("apply gone.jpg -s udnie", 1, "gone.jpg does not exist.", "Check the path."),
    ("apply notes.txt -s udnie", 1, "notes.txt is not a readable image.", "Supported image formats: JPEG"),
    ("apply empty -s udnie", 1, "No photos or videos in empty.", ""),
    ("apply lion.jpg -s gone.pth", 1, "The style file gone.pth does not exist.", "`stylekit styles list`"),
    ("info lion.jpg", 1, "lion.jpg has no recipe.", ""),
]


@pytest.mark.parametrize(("line", "code", "message", "hint"), MISTAKES, ids=[mistake[0] for mistake in MISTAKES])
def test_a_mistake_is_one_clear_line_and_a_hint_that_helps(type_in, line, code, message, hint):
    before = sorted(Path().rglob("*"))
    actual, out, err = type_in(f"stylekit {line}")
    errors = [line for line in err.splitlines() if not line.startswith(("Using the style", "Only 2 training photos"))]
    assert (actual, out) == (code, "")
    assert errors[0].startswith(f"error: {message}")
    assert len(errors) <= 2
    assert "\n".join(errors[1:]).startswith("hint: " if hint else "")
    assert hint in errors[-1]
    assert sorted(Path().rglob("*")) == before


def test_the_command_that_was_meant_is_in_the_document_too(type_in):
    document = json.loads(type_in("stylekit apply lion.jpg -s udnie,bridge --json")[1])
    assert document["error"]["type"] == "ConfigError"
    assert document["error"]["hint"] == "Did you mean `stylekit apply lion.jpg -s udnie --style bridge --json`?"


def test_a_name_that_is_too_long_is_not_a_crash(type_in):
    code, _, err = type_in(f"stylekit {'x' * 5000}")
    assert (code, err.partition(" 'x")[0]) == (2, "error: Unknown command")


@pytest.mark.parametrize("line", ["help", "help apply", "help styles list", "styles help"])
def test_help_is_a_command_too(type_in, line):
    code, out, err = type_in(f"stylekit {line}")
    words = " ".join(word for word in line.split() if word != "help")
    assert (code, err) == (0, "")
    assert f"Usage: stylekit {words}".strip() in out


def test_all_styles_at_once(type_in, style_path):
    names = [line.split()[0] for line in type_in("stylekit styles list")[1].splitlines() if " bundled " in line]
    code, out, _ = type_in("stylekit apply lion.jpg -s all -s udnie -o all --dry-run")
    assert code == 0
    assert out.splitlines() == [str(Path("all", f"lion-{name}.jpg")) for name in names]
    type_in(f"stylekit styles import {style_path} --name all")
    assert type_in("stylekit apply lion.jpg -s all --dry-run")[1] == "lion-all.jpg\n"


def test_a_batch_that_is_run_again_says_why_nothing_is_painted(type_in, style_path):
    command = f"stylekit apply photos -s {style_path} -o out"
    assert type_in(command)[2].startswith("2 done")
    for options, reason in (
        ("", "2 skipped: already painted (--overwrite paints them again)"),
        ("--strength 0.3 --keep-colors", "2 skipped: painted with other settings"),
    ):
        code, out, err = type_in(f"{command} {options}")
        assert (code, out) == (0, "")
        assert any(line.startswith(reason) for line in err.splitlines()), err
    assert "2 done" in type_in(f"{command} --strength 0.3 --overwrite")[2]


def test_paintings_among_photos_are_skipped_with_a_note(type_in, style_path):
    type_in(f"stylekit apply lion.jpg -s {style_path}")
    code, out, err = type_in(f"stylekit apply *.jpg -s {style_path} -o out")
    assert (code, len(out.splitlines())) == (0, 2)
    assert "1 skipped: painted by stylekit (--again paints it anyway)" in err.splitlines()
    assert len(type_in(f"stylekit apply *.jpg -s {style_path} -o again --again")[1].splitlines()) == 3


@pytest.mark.parametrize("command", ["apply lion.jpg", "sheet lion.jpg", "gatys lion.jpg night.jpg"])
def test_an_unreadable_output_folder_is_one_clear_error(type_in, without_permission, command):
    Path("locked").mkdir()
    without_permission(Path("locked"))
    code, out, err = type_in(f"stylekit {command} -o locked/x.jpg")
    assert (code, out) == (1, "")
    assert "error: Cannot write locked/x.jpg: Permission denied." in err.splitlines()


def test_an_empty_input_is_not_the_working_folder(type_in):
    code, out, err = type_in("stylekit apply ''")
    assert (code, out) == (2, "")
    assert err.startswith("error: An input is empty.\n")


def test_an_optimization_says_how_large_its_result_becomes(type_in):
    code, out, err = type_in(f"stylekit gatys lion.jpg night.jpg -o x.png {QUICK['gatys']}")
    assert (code, out) == (0, "x.png\n")
    assert "note lion.jpg: painting at 32 x 24 px; use --size to change that" in err.splitlines()


def test_a_training_says_that_photos_are_few_and_what_it_does(type_in):
    options = QUICK["train"].replace("--init-from none", "--init-from nearest")
    code, _, err = type_in(f"stylekit train night.jpg --content photos {options}")
    assert code == 0
    notes = err.splitlines()
    assert notes[0].startswith("Only 2 training photos")
    assert "Looking for the bundled style nearest to the painting …" in notes
    assert notes[-1] == "Try it: stylekit apply PHOTO --style night"
