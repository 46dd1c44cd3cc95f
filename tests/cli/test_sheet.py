"""`stylekit sheet`: where the sheet goes, what is printed, and what can be wrong."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.image_material import read_image


@pytest.fixture
def workplace(tmp_path, make_photo, style_path, monkeypatch):
    """A folder with a photo, three styles and a corrupt one."""
    make_photo(96, 64).save(tmp_path / "lion.jpg")
    for name in "abc":
        shutil.copy(style_path, tmp_path / f"{name}.safetensors")
    (tmp_path / "corrupt.safetensors").write_bytes(b"not a style")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_sheet_is_beside_the_photo(stylekit, workplace):
    code, out, err = stylekit("sheet", "lion.jpg", "-s", "a.safetensors,b.safetensors", "--size", "48")
    assert (code, out, err) == (0, "lion-sheet.jpg\n", "")
    assert read_image("lion-sheet.jpg").format == "JPEG"


def test_an_existing_file_is_replaced_only_if_asked(stylekit, workplace):
    (workplace / "lion-sheet.jpg").write_bytes(b"mine")
    arguments = ["sheet", "lion.jpg", "-s", "a.safetensors", "--size", "48"]
    code, out, err = stylekit(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("error: lion-sheet.jpg already exists.\nhint: Use --overwrite")
    assert (workplace / "lion-sheet.jpg").read_bytes() == b"mine"
    assert stylekit(*arguments, "--overwrite")[0] == 0
    assert read_image("lion-sheet.jpg").format == "JPEG"


def test_the_suffix_sets_the_format_and_a_folder_takes_the_usual_name(stylekit, workplace):
    for output, path, kind in (
        ("sheet.png", "sheet.png", "PNG"),
        ("new/", "new/lion-sheet.jpg", "JPEG"),
        (".", "lion-sheet.jpg", "JPEG"),
    ):
        code, out, _ = stylekit("sheet", "lion.jpg", "-s", "a.safetensors", "--size", "32", "-o", output)
        assert (code, out.strip()) == (0, path)
        assert read_image(path).format == kind


def test_json_has_the_places_of_the_tiles(stylekit, workplace):
    strengths = ["--strength", "0,1", "--stroke-size", "1, 2"]
    code, out, err = stylekit(
        "sheet", "lion.jpg", "-s", "a.safetensors", *strengths, "--size", "48", "--json", "-o", "sheet.png"
    )
    assert (code, err) == (0, "")
    document = json.loads(out)
    sheet = np.asarray(Image.open("sheet.png"))
    assert sheet.shape == (document["height"], document["width"], 3)
    assert document["layout"] == {"columns": 2, "rows": 2}
    assert [(tile["stroke_size"], tile["strength"]) for tile in document["tiles"]] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert {tile["status"] for tile in document["tiles"]} == {"done"}
    assert document["notes"] == []

    def pixels(place):
        rows = slice(place["y"], place["y"] + place["height"])
        return sheet[rows, place["x"] : place["x"] + place["width"]]

    faint, full, *_ = document["tiles"]
    assert np.array_equal(pixels(faint), pixels(document["photo"]))  # strength 0 is the photo
    assert not np.array_equal(pixels(full), pixels(document["photo"]))


def test_a_corrupt_style_costs_its_own_tile_and_the_exit_code_says_so(stylekit, workplace):
    arguments = ["sheet", "lion.jpg", "-s", "a.safetensors,corrupt.safetensors", "--size", "48", "--overwrite"]
    code, out, err = stylekit(*arguments)
    assert (code, out) == (3, "lion-sheet.jpg\n")
    assert err.startswith("failed corrupt.safetensors: ")
    assert "hint: " in err
    code, out, _ = stylekit(*arguments, "--json")
    document = json.loads(out)
    assert (code, document["done"], document["failed"]) == (3, 1, 1)
    assert document["tiles"][1]["status"] == "failed"
    assert "corrupt" in document["tiles"][1]["reason"]
    code, _, err = stylekit("sheet", "lion.jpg", "-s", "corrupt.safetensors", "-o", "other.jpg")
    assert code == 1
    assert "error: " in err
    assert not (workplace / "other.jpg").exists()


def test_a_style_file_may_have_a_comma_in_its_name(stylekit, workplace):
    shutil.copy("a.safetensors", "a,b.safetensors")
    assert stylekit("sheet", "lion.jpg", "-s", "a,b.safetensors", "-s", "c.safetensors", "--size", "32")[0] == 0


def test_a_sheet_is_piped(workplace):
    command = [sys.executable, "-m", "stylekit", "sheet", "-", "-s", "a.safetensors", "--size", "32", "-o", "-"]
    result = subprocess.run(command, input=(workplace / "lion.jpg").read_bytes(), capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert Image.open(io.BytesIO(result.stdout)).format == "PNG"


def test_a_sheet_of_standard_input_goes_to_a_file_or_folder(workplace):
    def run(output):
        command = [sys.executable, "-m", "stylekit", "sheet", "-", "-s", "a.safetensors", "--size", "32", "-o", output]
        return subprocess.run(command, input=(workplace / "lion.jpg").read_bytes(), capture_output=True, check=False)

    assert run("new/").stdout.decode().strip() == str(Path("new") / "standard input-sheet.jpg")
    assert read_image("new/standard input-sheet.jpg").format == "JPEG"
    (workplace / "mine.jpg").write_bytes(b"mine")
    result = run("mine.jpg")
    assert (result.returncode, b"mine.jpg already exists." in result.stderr) == (1, True)
    assert (workplace / "mine.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["gone.jpg"], 1, "gone.jpg does not exist."),
        (["."], 1, ". is a folder."),
        (["a.safetensors"], 1, "is not a readable image"),
        (["udnie"], 2, "udnie is a style, not a photo."),
        (["-"], 2, "needs an output"),
        ([], 2, ""),
        (["lion.jpg", "-o", "lion.jpg", "--overwrite"], 2, "would be overwritten by its own sheet"),
        (["lion.jpg", "-o", "sheet.pdf"], 2, "Cannot write images as '.pdf'"),
        (["lion.jpg", "-o", "-", "--json"], 2, "both the image and --json"),
        (["lion.jpg", "-o", "-", "--show"], 2, "both the image and --show"),
        (["lion.jpg", "-s", "lion.jpg"], 2, "lion.jpg is an image, not a style."),
        (["lion.jpg", "-s", "undie"], 1, "Did you mean udnie"),
        (["lion.jpg", "-s", ","], 2, "No style given"),
        (["lion.jpg", "-s", "own"], 2, "You have no styles of your own."),
        (["lion.jpg", "--strength", "0.5,x"], 2, "--strength must be numbers such as 0.3,0.6,1, not 'x'."),
        (["lion.jpg", "--strength", "0.5,2"], 2, "--strength must be between 0 and 1, not 2."),
        (["lion.jpg", "--stroke-size", "huge"], 2, "--stroke-size must be auto or a number, not 'huge'."),
        (["lion.jpg", "--stroke-size", ","], 2, "--stroke-size needs auto or a number."),
        (["lion.jpg", "--size", "0"], 2, "--size must be between 32 and 4096, not 0."),
        (["lion.jpg", "--columns", "2", "--strength", "0,1"], 2, "--columns needs a single strength"),
        (["lion.jpg", "--quality", "0"], 2, "--quality must be between 1 and 100"),
    ],
)
def test_mistakes_are_one_clear_error_and_write_nothing(stylekit, workplace, arguments, code, message):
    before = {path: path.read_bytes() for path in workplace.iterdir()}
    got, _, err = stylekit("sheet", *arguments)
    assert got == code
    assert message in err
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == bool(arguments)
    assert {path: path.read_bytes() for path in workplace.iterdir()} == before


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from stylekit.cli.app import run; run(['sheet', '-h']); "
        "sys.exit(len({'numpy', 'PIL', 'onnxruntime', 'torch'} & {*sys.modules}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert result.returncode == 0
