"""What was painted before, and how: recipes in results, reruns, and paintings as inputs."""

import dataclasses
import json

import numpy as np
import pytest

from stylekit._version import __version__
from stylekit.apply.repeats import read_painting
from stylekit.apply.run import apply_styles
from stylekit.config.apply import ApplyConfig
from stylekit.errors import ImageError
from stylekit.images.photo import Metadata, Photo
from stylekit.images.writing import save_photo
from stylekit.styles.style_file import StyleFile, save_style_file, weights_hash
from tests.video_material import photo as frame
from tests.video_material import write_video


def recipe_of(path):
    """Return the recipe in a result's metadata."""
    recipe = read_painting(path)
    assert recipe is not None
    return recipe


@pytest.fixture
def other_path(small_style, style_path):
    """Another style, named `other`."""
    weights = {**small_style.weights, "out.bias": small_style.weights["out.bias"] + 2}
    path = style_path.with_name("other.safetensors")
    save_style_file(StyleFile(dataclasses.replace(small_style.metadata, name="other"), weights), path)
    return path


@pytest.fixture
def paint(stylekit, folder, style_path, tmp_path):
    """Run `stylekit apply` on the folder; give the exit code and the lines of standard error."""

    def call(*arguments, source=folder, style=style_path, output=tmp_path / "out"):
        code, _, errors = stylekit("apply", source, "-s", style, "-o", output, *arguments)
        return code, errors.splitlines()

    return call


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff", "avif"])
def test_results_carry_their_recipe(folder, style_path, small_style, tmp_path, format):
    config = ApplyConfig(strength=0.5, format=format, max_size=30)
    report = apply_styles(folder / "a.jpg", tmp_path / "out", style_path, config)
    quality = {} if format in ("png", "tiff") else {"quality": 92}
    assert read_painting(report.files[0].output) == {
        "stylekit": __version__,
        "styles": [{"name": "small", "weights_sha256": weights_hash(small_style.weights), "share": 1.0}],
        "options": {"max_size": 30, "stroke_size": None, "strength": 0.5, "keep_colors": False, **quality},
    }
    stripped = apply_styles(folder / "a.jpg", tmp_path / "new", style_path, ApplyConfig(strip_metadata=True))
    assert read_painting(stripped.files[0].output) is None


def test_the_recipe_of_a_blend_names_its_parts(folder, style_path, other_path, tmp_path):
    report = apply_styles(folder / "a.jpg", tmp_path, [style_path, other_path], blend=[1, 3])
    painting = recipe_of(report.files[0].output)
    assert [(part["name"], part["share"]) for part in painting["styles"]] == [("small", 0.25), ("other", 0.75)]


def test_a_rerun_skips_what_was_painted_so_and_says_how_to_paint_it_again(paint, tmp_path):
    assert paint()[0] == 0
    before = contents(tmp_path / "out")
    code, lines = paint()
    assert (code, lines[1:]) == (0, ["3 skipped: already painted (--overwrite paints them again)"])
    assert contents(tmp_path / "out") == before


def test_a_rerun_with_other_options_says_so_and_asks_for_overwrite(paint, tmp_path, folder, make_photo):
    paint("--strength", "0.8")
    before = contents(tmp_path / "out")
    make_photo(20, 20).save(folder / "new.png")
    code, lines = paint("--keep-colors", "--quality", "80", "--stroke-size", "2", "--max-size", "30")
    assert code == 0
    assert lines[0].startswith("1 done, 3 skipped in ")
    settings = "no --max-size, --stroke-size auto, --strength 0.8, no --keep-colors"
    assert set(lines[1:]) == {
        f"2 skipped: painted with other settings: {settings}, --quality 92 (--overwrite paints them again)",
        f"1 skipped: painted with other settings: {settings} (--overwrite paints it again)",  # a PNG
    }
    assert before.items() <= contents(tmp_path / "out").items()
    assert paint("--strength", "0.3", "--overwrite")[1][0].startswith("4 done in ")
    assert recipe_of(tmp_path / "out" / "a-small.jpg")["options"]["strength"] == 0.3


def test_options_that_do_not_change_the_image_are_not_other_settings(paint):
    paint()
    _, lines = paint("--tile", "64", "--jobs", "0", "--device", "cpu", "--max-pixels", "1000000", "--steady", "0.5")
    assert lines[1:] == ["3 skipped: already painted (--overwrite paints them again)"]


def test_results_without_a_recipe_are_skipped(paint):
    paint("--strip-metadata")
    for options in ((), ("--strip-metadata",), ("--strength", "0.5")):
        assert paint(*options)[1][1:] == ["3 skipped: already painted (--overwrite paints them again)"]


def test_metadata_of_earlier_results_that_are_to_be_stripped_is_an_other_setting(paint):
    paint()
    (line,) = paint("--strip-metadata")[1][1:]
    assert "other settings: no --strip-metadata" in line


def test_a_style_that_was_trained_again_is_an_other_setting(paint, other_path, style_path):
    paint()
    style_path.write_bytes(other_path.read_bytes())
    (line,) = paint()[1][1:]
    assert line == "3 skipped: painted with other settings: other weights of small (--overwrite paints them again)"


def test_a_version_of_stylekit_alone_is_not_an_other_setting(paint, monkeypatch):
    monkeypatch.setattr("stylekit.apply.repeats.__version__", "0.0.1")
    paint()
    monkeypatch.undo()
    assert paint()[1][1:] == ["3 skipped: already painted (--overwrite paints them again)"]


def test_blends_of_other_shares_have_names_of_their_own(folder, style_path, other_path, tmp_path):
    names = []
    for shares in ([1, 1], [0.7, 0.3], [1, 2], [0, 1], [7, 3]):
        report = apply_styles([folder], tmp_path / "out", [style_path, other_path], blend=shares)
        names.append(report.files[0].output.name)
        assert {file.style for file in report.files} == {"small-other"}
    assert names == [f"a-small-other{shares}.jpg" for shares in ("", "-70-30", "-33-67", "-0-100", "-70-30")]
    assert report.count("skipped") == 3
    almost = apply_styles([folder], tmp_path / "out", [style_path, other_path], blend=[0.701, 0.299])
    assert {file.reason for file in almost.files} == {"painted with other settings: small:0.7 other:0.3"}


def test_a_folder_of_one_photo_says_that_it_is_skipped(stylekit, folder, style_path):
    assert stylekit("apply", folder / "deep", "-s", style_path)[0] == 0
    code, out, errors = stylekit("apply", folder / "deep", "-s", style_path)
    assert (code, out, errors) == (0, "", "1 skipped: already painted (--overwrite paints it again)\n")


def test_the_json_document_says_why_files_are_skipped(stylekit, folder, style_path, tmp_path):
    (folder / "notes.txt").touch()
    command = ("apply", folder, "-s", style_path, "-o", tmp_path / "out", "--json")
    stylekit(*command)
    document = json.loads(stylekit(*command)[1])
    assert (document["skipped"], document["ignored"]) == (3, {"not images (.txt)": 1})
    assert {file["reason"] for file in document["files"]} == {"already painted"}


def test_paintings_in_a_folder_are_not_painted_again(paint, folder, other_path):
    paint(output=folder)
    before = contents(folder)
    code, lines = paint(style=other_path, output=folder)
    assert code == 0
    assert lines[0].startswith("3 done, 3 skipped in ")
    assert lines[1:] == ["3 skipped: painted by stylekit (--again paints them anyway)"]
    new = {path.name for path in contents(folder).keys() - before.keys()}
    assert new == {"a-other.jpg", "b-other.png", "c-other.webp"}
    assert set(paint("--dry-run", style=other_path, output=folder)[1][1:]) == {
        "3 skipped: already painted (--overwrite paints them again)",
        "3 skipped: painted by stylekit (--again paints them anyway)",
    }
    code, lines = paint("--again", style=other_path, output=folder)
    assert lines[0].startswith("3 done, 3 skipped in ")
    assert (folder / "a-small-other.jpg").is_file()


def test_a_painting_that_is_named_is_painted_in_another_style_with_a_note(paint, stylekit, folder, other_path):
    paint(output=folder)
    painting = folder / "a-small.jpg"
    code, out, errors = stylekit("apply", painting, "-s", other_path)
    assert (code, out) == (0, f"{folder}/a-small-other.jpg\n")
    assert errors == f"note {painting}: painted by stylekit before, in the style small\n"
    assert [part["name"] for part in recipe_of(folder / "a-small-other.jpg")["styles"]] == ["other"]


def test_a_painting_that_is_named_is_not_painted_in_its_own_style(
    paint, stylekit, folder, style_path, other_path, tmp_path
):
    """As `stylekit apply *.jpg` would, run again."""
    paint(output=folder)
    paintings = folder / "a-small.jpg", folder / "b-small.png"
    code, out, errors = stylekit("apply", *paintings, "-s", style_path, "-s", other_path, "-o", tmp_path / "new")
    assert (code, len(out.splitlines())) == (0, 2)
    assert "2 skipped: painted by stylekit (--again paints them anyway)" in errors.splitlines()
    code, out, errors = stylekit("apply", paintings[0], "-s", style_path, "--strength", "0.5")
    assert (code, out) == (1, "")
    assert errors == (
        "error: a-small.jpg was painted by stylekit in this style.\nhint: Use --again to paint it again.\n"
    )
    assert stylekit("apply", paintings[0], "-s", style_path, "--again")[0] == 0


@pytest.mark.parametrize(
    "recipe",
    [
        "",
        "painted",
        "[]",
        "{}",
        "7",
        "[" * 100_000,
        '{"styles": [], "options": {}}',
        '{"styles": [{"name": 1, "weights_sha256": 2}], "options": {}}',
        '{"styles": [{"name": "a"}], "options": {}}',
        '{"styles": {"name": "a"}, "options": {}}',
        '{"styles": [{"name": "a", "weights_sha256": "b"}], "options": []}',
    ],
)
def test_a_recipe_that_is_not_one_is_ignored(tmp_path, recipe):
    path = tmp_path / "a.png"
    save_photo(Photo(np.zeros((8, 8, 3), np.uint8), metadata=Metadata(recipe=recipe)), path, format="png", quality=90)
    assert read_painting(path) is None


def test_a_hostile_recipe_is_shown_in_one_short_line(paint, tmp_path):
    recipe = {
        "styles": [{"name": "x" * 10_000, "weights_sha256": "0", "share": {}}],
        "options": {"strength": "y" * 10_000, "quality": [None] * 1000, "other": 1},
    }
    (tmp_path / "out").mkdir()
    black = Photo(np.zeros((8, 8, 3), np.uint8), metadata=Metadata(recipe=json.dumps(recipe)))
    save_photo(black, tmp_path / "out" / "a-small.jpg", format="jpeg", quality=90)
    _, lines = paint()
    (line,) = [line for line in lines if "other settings" in line]
    assert len(line) < 500


def test_the_recipe_of_an_unreadable_file_is_none(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8 no more")
    (tmp_path / "a.mp4").write_bytes(b"no video")
    for name in ("a.jpg", "a.mp4", "gone.jpg", "gone.mp4", "."):
        assert read_painting(tmp_path / name) is None


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".webp"])
def test_videos_carry_their_recipe(stylekit, style_path, tmp_path, make_photo, suffix):
    pytest.importorskip("av")
    video = tmp_path / "videos" / f"clip{suffix}"
    video.parent.mkdir()
    frames = [make_photo(32, 32, seed=seed) for seed in range(3)]
    if suffix == ".webp":
        frames[0].save(video, save_all=True, append_images=frames[1:], duration=100)
    else:
        write_video(tmp_path / "clip.mkv", [frame(number) for number in range(5)])
        (tmp_path / "clip.mkv").rename(video)
    command = ("apply", video.parent, "-s", style_path, "-o", tmp_path / "out")
    assert stylekit(*command)[0] == 0
    painting = recipe_of(tmp_path / "out" / f"clip-small{suffix}")
    assert painting["styles"][0]["name"] == "small"
    assert painting["options"]["steady"] == 0.9
    assert stylekit(*command)[2] == "1 skipped: already painted (--overwrite paints it again)\n"
    assert stylekit(*command, "--steady", "0.5")[2] == (
        "1 skipped: painted with other settings: --steady 0.9 (--overwrite paints it again)\n"
    )
    code, out, errors = stylekit("apply", tmp_path / "out", "-s", style_path)
    assert (code, out, errors) == (0, "", "1 skipped: painted by stylekit (--again paints it anyway)\n")
    assert stylekit(*command, "--strip-metadata", "--overwrite")[0] == 0
    assert read_painting(tmp_path / "out" / f"clip-small{suffix}") is None


def test_a_videos_own_comment_is_kept_beside_the_recipe(stylekit, style_path, tmp_path):
    av = pytest.importorskip("av")
    write_video(tmp_path / "plain.mp4", [frame(number) for number in range(5)], sound=False)
    with av.open(str(tmp_path / "plain.mp4")) as source, av.open(str(tmp_path / "clip.mp4"), "w") as target:
        target.metadata.update({"comment": "By the sea.\nIn May.", "title": "Holiday"})
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert stylekit("apply", tmp_path / "clip.mp4", "-s", style_path)[0] == 0
    assert stylekit("apply", tmp_path / "clip-small.mp4", "-s", style_path, "--again")[0] == 0
    with av.open(str(tmp_path / "clip-small-small.mp4")) as container:
        *own, recipe = container.metadata["comment"].splitlines()
        assert container.metadata["title"] == "Holiday"
    assert own == ["By the sea.", "In May."]
    assert json.loads(recipe) == read_painting(tmp_path / "clip-small-small.mp4")


def test_info_shows_the_recipe_of_a_result(paint, stylekit, folder, tmp_path):
    paint("--strength", "0.5")
    result = tmp_path / "out" / "a-small.jpg"
    code, out, errors = stylekit("info", result)
    assert (code, errors) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["stylekit", __version__] in lines
    assert ["strength", "0.5"] in lines
    assert any(line[0] == "small" for line in lines)
    assert json.loads(stylekit("info", result, "--json")[1]) == {"file": str(result), "recipe": read_painting(result)}


@pytest.mark.parametrize(
    ("name", "message"), [("a.jpg", "has no recipe"), ("gone.jpg", "does not exist"), ("deep", "is a folder")]
)
def test_info_says_that_a_file_has_no_recipe(stylekit, folder, name, message):
    code, out, errors = stylekit("info", folder / name)
    first, hint = errors.splitlines()
    assert (code, out) == (1, "")
    assert first.startswith("error: ")
    assert message in first
    assert hint.startswith("hint: ")
    assert json.loads(stylekit("info", folder / name, "--json")[1])["error"]["type"] == ImageError.__name__
