"""What a base install says where an extra is missing."""

import subprocess
import sys

import pytest

BLOCK = "import sys; sys.modules.update(dict.fromkeys({modules!r}))"
RUN = "from stylekit.cli.app import run; sys.exit(run(sys.argv[1:]))"
TORCH = ("torch", "torchvision")


def without(modules, *arguments, before=""):
    """Run a command as if some modules were not installed."""
    code = "\n".join([BLOCK.format(modules=modules), before, RUN])
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], check=False, capture_output=True, text=True
    )


@pytest.fixture
def photo(tmp_path, make_photo):
    make_photo(100, 80).save(tmp_path / "lion.png")
    return tmp_path / "lion.png"


@pytest.mark.parametrize(
    "arguments",
    [
        ["gatys", "PHOTO", "PHOTO", "-o", "out.png"],
        ["train", "PHOTO", "--content", "FOLDER", "--name", "x"],
        ["apply", "PHOTO", "--engine", "torch"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_whose_extra_is_missing_names_it_and_how_to_install_it(photo, arguments, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    known = {"PHOTO": photo, "FOLDER": tmp_path}
    done = without(TORCH, *(known.get(argument, argument) for argument in arguments))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == [
        "error: torch is not installed; it is part of the extra 'torch'.",
        "hint: pip install 'neural-stylekit[torch]'",
    ]
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [["styles", "list"], ["styles", "info", "udnie"], ["info"], ["--help"], ["train", "-h"]],
    ids=" ".join,
)
def test_other_commands_need_no_extra(arguments):
    done = without((*TORCH, "av", "pillow_heif"), *arguments)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_torch_a_visible_gpu_is_pointed_out_once(photo, tmp_path):
    seen = "import stylekit.system.devices as devices; devices.cuda_may_exist = lambda: True"
    command = ("apply", photo, photo, "-s", "udnie", "-o", tmp_path / "out")
    done = without(TORCH, *command, before=seen)
    note = "Stylizing on the CPU. To use the NVIDIA GPU: pip install 'neural-stylekit[torch]'"
    assert (done.returncode, done.stderr.splitlines().count(note)) == (0, 1)
    assert note not in without(TORCH, *command, "--quiet", "--overwrite", before=seen).stderr
    assert note not in without(TORCH, *command, "--device", "cpu", "--overwrite", before=seen).stderr
    assert note not in without((), *command, "--overwrite", before=seen).stderr


def test_python_programmers_are_told_the_extra_too():
    code = f"""
{BLOCK.format(modules=TORCH)}
import stylekit
assert "apply_styles" in dir(stylekit) and "train_style" not in dir(stylekit)
help(stylekit)
stylekit.train_style("night.jpg", "photos", name="night", run_dir="night")
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "apply_styles(" in done.stdout
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: stylekit.train_style needs the extra 'torch': pip install 'neural-stylekit[torch]'"
    )
