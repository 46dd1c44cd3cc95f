"""The command line: results on stdout, messages on stderr, exit codes, one clear line for each error."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stylekit._version import __version__
from stylekit.cli.console import Output, file_size, table
from stylekit.styles.locations import own_styles_dir
from stylekit.styles.style_file import StyleFile, save_style_file
from tests.image_material import read_image


@pytest.fixture
def photo(tmp_path, make_photo):
    make_photo(30, 20).save(tmp_path / "lion.jpg")
    return tmp_path / "lion.jpg"


def test_apply_prints_the_path_of_the_result_and_nothing_else(stylekit, photo, style_path):
    result = photo.with_name("lion-small.jpg")
    assert stylekit("apply", photo, "--style", style_path) == (0, f"{result}\n", "")
    assert read_image(result).size == (30, 20)


def test_a_batch_with_a_failure_ends_with_3_and_names_it(stylekit, photo, style_path, tmp_path):
    (tmp_path / "bad.png").write_text("not an image")
    code, out, err = stylekit("apply", photo, tmp_path / "bad.png", "-s", style_path, "-o", tmp_path / "out")
    assert code == 3
    assert out == f"{tmp_path}/out/lion-small.jpg\n"
    assert f"failed {tmp_path}/bad.png: bad.png is not a readable image." in err.splitlines()
    assert "1 done, 1 failed" in err


def test_failures_are_printed_even_when_quiet(stylekit, photo, style_path, tmp_path):
    (tmp_path / "bad.png").write_text("not an image")
    _, _, err = stylekit("apply", photo, tmp_path / "bad.png", "-s", style_path, "-o", tmp_path / "out", "--quiet")
    assert len(err.splitlines()) == 1
    assert err.startswith("failed ")


def test_without_a_style_starry_night_is_used_and_named(stylekit, photo):
    code, out, err = stylekit("apply", photo)
    assert (code, out) == (0, f"{photo.with_name('lion-starry-night.jpg')}\n")
    assert "starry-night" in err
    assert "stylekit styles list" in err


def test_the_stroke_size_changes_the_result(stylekit, photo, style_path, tmp_path):
    results = []
    for size in ("auto", "1", "4"):
        assert stylekit("apply", photo, "-s", style_path, "--stroke-size", size, "-o", tmp_path / f"{size}.png")[0] == 0
        results.append(Image.open(tmp_path / f"{size}.png").tobytes())
    assert results[0] == results[1] != results[2]


def test_styles_are_blended(stylekit, photo, small_style, style_path, tmp_path):
    other = tmp_path / "other.safetensors"
    bright = {**small_style.weights, "out.bias": small_style.weights["out.bias"] + 2}
    save_style_file(StyleFile(small_style.metadata, bright), other)
    paintings: list[NDArray[Any]] = []
    for args in (["-s", style_path], ["-s", other], ["-s", f"{style_path}:0.7", "-s", f"{other}:0.3", "--blend"]):
        out = stylekit("apply", photo, *args, "-o", tmp_path / f"{len(paintings)}", "--format", "png")[1]
        paintings.append(np.asarray(Image.open(out.strip()), float))
    assert out.strip().endswith("lion-small-other-70-30.png")
    first, second, mixed = paintings
    assert np.abs(mixed - (0.7 * first + 0.3 * second)).max() <= 1.5
    assert np.abs(first - second).mean() > 20


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["apply", "PHOTO", "-s", "STYLE", "--blend"], 2, "--blend needs two or more styles"),
        (["apply", "PHOTO", "-s", "starry-night:0.5"], 2, "starry-night:0.5 has a share"),
        (["apply", "PHOTO", "-s", "starry-night:-1", "-s", "STYLE", "--blend"], 2, "shares"),
        (["apply", "PHOTO", "-s", "STYLE", "--stroke-size", "big"], 2, "--stroke-size must be auto or a number"),
        (
            ["apply", "PHOTO", "-s", "STYLE", "--stroke-size", "0"],
            2,
            "--stroke-size must be auto or between 0.1 and 100, not 0",
        ),
        (["apply", "gone.jpg", "-s", "STYLE"], 1, "gone.jpg does not exist"),
        (["apply", "PHOTO", "-s", "gone.safetensors"], 1, "The style file gone.safetensors does not exist."),
        (["apply", "PHOTO", "-s", "nobody"], 1, "Unknown style 'nobody'"),
        (["apply", "PHOTO", "-s", "STYLE", "--strength", "2"], 2, "--strength must be between 0 and 1, not 2"),
        (["apply", "PHOTO", "-s", "STYLE", "--quality", "0"], 2, "--quality must be between 1 and 100, not 0"),
        (["apply", "PHOTO", "-s", "STYLE", "--max-size", "0"], 2, "--max-size must be 1 or more, not 0"),
        (["apply", "PHOTO", "-s", "STYLE", "--threads", "x"], 2, "--threads must be a whole number, not 'x'"),
        (["apply", "PHOTO", "-s", "STYLE", "--device", "gpu"], 2, "gpu"),
        (["apply", "PHOTO", "-s", "STYLE", "--device", "cuda:99"], 1, "cuda:99"),
        (["apply", "PHOTO", "-s", "STYLE", "--format", "gif"], 2, "--format must be jpeg"),
        (["apply", "PHOTO", "-s", "STYLE", "-o", "PHOTO"], 2, "its own result"),
        (["apply", "PHOTO", "-s", "STYLE", "--strength", "much"], 2, "--strength must be a number, not 'much'"),
        (["apply", "PHOTO", "-s", "STYLE", "--start", "1:x"], 2, "--start must be a time"),
        (["apply", "PHOTO", "-s", "STYLE", "--tile", "some"], 2, "--tile must be auto, off or a whole number"),
        (["apply", "PHOTO", "--wrong"], 2, "Unknown option --wrong."),
        (["apply", "PHOTO", "--style"], 2, "--style needs a value."),
        (["apply", "PHOTO", "--blend=1"], 2, "--blend takes no value."),
        (["train", "PHOTO"], 2, "Missing --content."),
        (["gatys", "PHOTO", "-o", "out.png"], 2, "Missing PAINTING."),
        (["info", "PHOTO"], 1, "lion.jpg has no recipe."),
        (["info", "PHOTO", "PHOTO"], 2, "Unexpected argument: "),
        (["paint"], 2, "Unknown command 'paint'."),
        (["styles", "import", "PHOTO", "--name", "x"], 1, "is an image, not a weights file."),
        (["styles", "import", "STYLE", "--name", "A B"], 2, "Invalid style name"),
    ],
)
def test_errors_are_one_clear_line_and_a_hint(stylekit, photo, style_path, args, code, message):
    known = {"PHOTO": photo, "STYLE": style_path}
    actual, out, err = stylekit(*(known.get(arg, arg) for arg in args))
    first, *rest = err.splitlines()
    assert (actual, out) == (code, "")
    assert first.startswith("error: ")
    assert message in first
    assert len(rest) <= 1
    assert all(line.startswith("hint: ") for line in rest)


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["apply", "PHOTO", "--stlye", "udnie"], "Did you mean --style or --tile?"),
        (["aply", "PHOTO"], "Did you mean apply?"),
        (["styles", "lst"], "Did you mean list?"),
        (["train", "--name", "x"], "See `stylekit train -h`."),
        (["quux"], "See `stylekit -h`."),
    ],
)
def test_wrong_usage_gets_a_hint(stylekit, photo, args, hint):
    assert stylekit(*(photo if arg == "PHOTO" else arg for arg in args))[2].splitlines()[-1] == f"hint: {hint}"


def test_a_british_spelling_is_understood(stylekit, photo, style_path, tmp_path):
    results = []
    for option in ("--keep-colors", "--keep-colours"):
        assert stylekit("apply", photo, "-s", style_path, option, "-o", tmp_path / f"{option}.png")[0] == 0
        results.append(Image.open(tmp_path / f"{option}.png").tobytes())
    assert results[0] == results[1]


def test_json_is_one_document(stylekit, photo, style_path):
    code, out, _ = stylekit("apply", photo, "-s", style_path, "--json")
    document = json.loads(out)
    assert code == 0
    assert document["done"] == 1
    assert document["files"][0]["output"] == str(photo.with_name("lion-small.jpg"))
    assert (document["files"][0]["width"], document["files"][0]["status"]) == (30, "done")


@pytest.mark.parametrize("args", [["apply", "gone.jpg", "-s", "nobody", "--json"], ["apply", "--json", "--wrong"]])
def test_json_is_one_document_on_failure_too(stylekit, args):
    code, out, err = stylekit(*args)
    assert code in (1, 2)
    assert set(json.loads(out)["error"]) == {"type", "message", "hint"}
    assert err.startswith("error: ")


def test_a_dry_run_prints_what_would_be_written(stylekit, photo, style_path):
    result = photo.with_name("lion-small.jpg")
    assert stylekit("apply", photo, "-s", style_path, "--dry-run") == (0, f"{result}\n", "")
    assert not result.exists()


def test_an_animation_becomes_an_image_by_its_first_frame_with_a_note(stylekit, tmp_path, style_path, make_photo):
    frames = [make_photo(16, 16, seed=seed) for seed in range(3)]
    frames[0].save(tmp_path / "video.gif", save_all=True, append_images=frames[1:])
    code, out, err = stylekit("apply", tmp_path / "video.gif", "-s", style_path, "--format", "png")
    assert (code, out) == (0, f"{tmp_path}/video-small.png\n")
    assert "first" in err


def test_skipped_files_are_named_when_verbose(stylekit, photo, style_path, tmp_path):
    args = ["apply", photo.parent, "-s", style_path, "-o", tmp_path / "out"]
    stylekit(*args)
    code, out, err = stylekit(*args, "--verbose")
    assert (code, out) == (0, "")
    assert f"skipped {photo}" in err


def test_an_imported_style_is_available_by_its_name(stylekit, photo, style_path):
    code, out, _ = stylekit("styles", "import", style_path, "--name", "mine")
    assert (code, out) == (0, f"{own_styles_dir() / 'mine.safetensors'}\n")
    assert stylekit("apply", photo, "-s", "mine")[0] == 0
    assert photo.with_name("lion-mine.jpg").is_file()
    listed = stylekit("styles", "list")[1].splitlines()
    assert listed[0].split() == ["NAME", "WHERE", "PAINTING", "PAINTER", "YEAR"]
    assert any(line.split()[:2] == ["mine", "own"] for line in listed)


def test_a_mistyped_style_gets_a_suggestion(stylekit, photo, style_path):
    stylekit("styles", "import", style_path, "--name", "painted-sea")
    assert "hint: Did you mean painted-sea" in stylekit("apply", photo, "-s", "paintd-see")[2]


def test_an_unreadable_style_is_listed_as_such(stylekit):
    own_styles_dir().mkdir(parents=True)
    (own_styles_dir() / "broken.safetensors").write_bytes(b"no")
    code, out, _ = stylekit("styles", "list")
    assert code == 0
    assert "unreadable" in next(line for line in out.splitlines() if line.startswith("broken"))
    entries = json.loads(stylekit("styles", "list", "--json")[1])["styles"]
    assert next(entry for entry in entries if entry["name"] == "broken")["problem"]


def test_the_list_of_styles_fits_a_terminal_and_is_whole_elsewhere(stylekit, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    whole = stylekit("styles", "list")[1]
    assert "The Great Wave off Kanagawa" in whole
    for width in (80, 60):
        monkeypatch.setenv("COLUMNS", str(width))
        lines = stylekit("styles", "list")[1].splitlines()
        assert len(lines) == len(whole.splitlines())
        assert max(map(len, lines)) <= width
        assert all(line.split()[:2] == full.split()[:2] for line, full in zip(lines, whole.splitlines(), strict=True))
        assert any("…" in line for line in lines)


def test_a_style_is_described_in_a_few_lines_and_at_length_when_asked(stylekit):
    few = stylekit("styles", "info", "starry-night")[1]
    assert [line.split()[0] for line in few.splitlines()] == [
        *("name", "where", "painting", "painter", "year", "license", "source", "network", "size")
    ]
    assert "The Starry Night" in few
    document = json.loads(stylekit("styles", "info", "starry-night", "--json")[1])
    many = stylekit("styles", "info", "starry-night", "-v")[1]
    assert document["file_sha256"] in many
    assert len(many.splitlines()) > 30
    assert document["licence"] == "MIT"


def test_a_remote_style_is_described_by_its_catalog(stylekit):
    lines = stylekit("styles", "info", "mosaic")[1].splitlines()
    assert [line.split()[0] for line in lines] == ["name", "where", "painting", "license", "source", "size"]


def test_info_names_devices_versions_and_folders(stylekit):
    document = json.loads(stylekit("info", "--json")[1])
    assert document["stylekit"] == __version__
    assert "cpu" in document["devices"]
    assert document["cpu cores"] >= 1
    assert document["free memory"] > 1_000_000
    assert {"torch", "av"} <= set(document["packages"])
    assert document["folders"]["styles of your own"] == str(own_styles_dir())
    lines = stylekit("info", "--no-devices")[1]
    assert "devices" not in lines
    assert __version__ in lines


def test_the_version_is_printed(stylekit):
    assert stylekit("--version") == stylekit("-V") == (0, f"stylekit {__version__}\n", "")


def test_published_weights_stylize(stylekit, shared, tmp_path):
    photo = shared / "expected" / "tajmahal.png"
    code, _, _ = stylekit("apply", photo, "-s", shared / "weights" / "mosaic.pth", "-o", tmp_path / "taj.png")
    expected = np.load(shared / "expected" / "tajmahal-mosaic.npy").clip(0, 255)
    assert code == 0
    assert np.abs(np.asarray(Image.open(tmp_path / "taj.png"), float) - expected).max() <= 0.51


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("stylekit a", ["apply"]),
        ("stylekit apply lion.jpg --style gre", ["great-wave"]),
        ("stylekit apply lion.jpg --style mos", ["mosaic"]),
        ("stylekit apply lion.jpg --style al", ["all"]),
        ("stylekit apply lion.jpg --device c", ["cpu", "cuda"]),
        ("stylekit apply lion.jpg --format w", ["webp"]),
        ("stylekit apply lion.jpg --codec h", ["h264", "hevc"]),
        ("stylekit train wave.jpg --preset g", ["good"]),
        ("stylekit train wave.jpg --network f", ["fast"]),
        ("stylekit train wave.jpg --init-from ne", ["nearest"]),
        ("stylekit gatys lion.jpg wave.jpg --init n", ["noise"]),
        ("stylekit styles export udn", ["udnie"]),
        ("stylekit styles pull rain", ["rain-princess"]),
    ],
)
def test_the_shell_completes(words, values):
    environment = {"_STYLEKIT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "stylekit"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.split() == values
    assert "| torch\n" not in result.stderr
    assert "| numpy\n" not in result.stderr.replace("  ", "")


def test_a_live_bar_is_drawn_on_a_terminal_only(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Output().bar("images", "{name}") as bar:
        bar.start(2)
        bar.advance(name="lion [1].jpg")
    assert Output().animated
    assert not Output(quiet=True).animated
    assert not Output(as_json=True).animated


def test_tables_are_aligned_and_never_wrapped():
    rows = [("a", "bb"), ("ccc", "d" * 300), ("\x1b[1m", "e")]
    assert list(table(rows)) == ["a     bb", f"ccc   {'d' * 300}", "\ufffd[1m  e"]
    assert list(table(rows[:2], width=20, flexible=[1])) == ["a    bb", f"ccc  {'d' * 14}…"]


def test_sizes_are_readable():
    assert [file_size(size) for size in (12, 6_728_029, 815_585_330_000)] == ["12 bytes", "6.7 MB", "815.6 GB"]


def test_an_interruption_while_a_library_is_loaded_ends_quietly(stylekit, monkeypatch):
    def fail(*_, **__):
        raise ImportError("initialization failed") from KeyboardInterrupt()

    monkeypatch.setattr("stylekit.cli.app.app", fail)
    assert stylekit("info") == (130, "", "error: Interrupted.\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is missing")
def test_a_full_disk_behind_standard_output_is_one_clear_error():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "stylekit", "styles", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "error: Cannot write to standard output: No space left on device."
    assert "Traceback" not in done.stderr
