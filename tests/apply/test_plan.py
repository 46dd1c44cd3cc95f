"""Output paths, exactly as documented: decided before any work, from names alone."""

import os
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from stylekit.apply.plan import plan_outputs
from stylekit.config.apply import ApplyConfig
from stylekit.errors import ConfigError, ImageError


def files(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not opened")


def outputs(root: Path, inputs: list[str], output: str | None = None, labels=("mosaic",), **settings) -> list[str]:
    plan = plan_outputs(
        [root / path for path in inputs], root / output if output else None, list(labels), ApplyConfig(**settings)
    )
    return [path.relative_to(root).as_posix() for planned in plan.inputs for path in planned.outputs]


def test_a_photos_result_is_beside_it(tmp_path):
    files(tmp_path, "lion.jpg")
    assert outputs(tmp_path, ["lion.jpg"]) == ["lion-mosaic.jpg"]


def test_a_folders_results_are_in_a_folder_beside_it_with_its_tree(tmp_path):
    files(tmp_path, "photos/a.jpg", "photos/deep/er/b.png")
    assert outputs(tmp_path, ["photos"]) == ["photos-mosaic/a-mosaic.jpg", "photos-mosaic/deep/er/b-mosaic.png"]


def test_the_working_folder_has_a_name_too(tmp_path, monkeypatch):
    files(tmp_path, "photos/a.jpg")
    monkeypatch.chdir(tmp_path / "photos")
    for folder in (Path(), Path("../photos"), Path("../photos/../photos/.")):
        plan = plan_outputs([folder], None, ["mosaic"], ApplyConfig())
        (result,) = plan.inputs[0].outputs
        assert not result.is_absolute()
        assert result.resolve() == tmp_path / "photos-mosaic" / "a-mosaic.jpg"


def test_paths_of_results_are_relative_if_those_of_inputs_are(tmp_path, monkeypatch):
    files(tmp_path, "photos/a.jpg", "b.jpg")
    monkeypatch.chdir(tmp_path)
    plan = plan_outputs([Path("photos"), Path("b.jpg")], None, ["mosaic"], ApplyConfig())
    assert [str(planned.outputs[0]) for planned in plan.inputs] == ["photos-mosaic/a-mosaic.jpg", "b-mosaic.jpg"]
    plan = plan_outputs([tmp_path / "photos"], None, ["mosaic"], ApplyConfig())
    assert plan.inputs[0].outputs == (tmp_path / "photos-mosaic" / "a-mosaic.jpg",)


def test_several_folders_and_photos_are_mirrored_into_the_output_folder(tmp_path):
    files(tmp_path, "one/x/a.jpg", "two/b.jpg", "c.jpg")
    assert outputs(tmp_path, ["one", "two", "c.jpg"], "out") == [
        "out/x/a-mosaic.jpg",
        "out/b-mosaic.jpg",
        "out/c-mosaic.jpg",
    ]


def test_several_styles_give_several_results(tmp_path):
    files(tmp_path, "a.jpg")
    assert outputs(tmp_path, ["a.jpg"], "out", labels=("mosaic", "candy")) == ["out/a-mosaic.jpg", "out/a-candy.jpg"]


@pytest.mark.parametrize("name", ["painted.png", "painted.JPG", "deep/painted.webp"])
def test_output_is_a_file_for_one_photo_one_style_and_an_images_suffix(tmp_path, name):
    files(tmp_path, "a.jpg")
    assert outputs(tmp_path, ["a.jpg"], name) == [name]


def test_output_is_a_folder_if_one_of_that_name_exists(tmp_path):
    files(tmp_path, "a.jpg")
    (tmp_path / "odd.png").mkdir()
    assert outputs(tmp_path, ["a.jpg"], "odd.png") == ["odd.png/a-mosaic.jpg"]


@pytest.mark.parametrize(("inputs", "labels"), [(["a.jpg", "b.jpg"], ["x"]), (["a.jpg"], ["x", "y"]), (["d"], ["x"])])
def test_output_is_a_folder_for_more_than_one_result_or_a_folder(tmp_path, inputs, labels):
    files(tmp_path, "a.jpg", "b.jpg", "d/c.jpg")
    for output in ("out", "2026.07.31", "v1.5", "St. Moritz"):
        assert all(path.startswith(f"{output}/") for path in outputs(tmp_path, inputs, output, labels=labels))


@pytest.mark.parametrize(
    ("inputs", "labels"), [(["a.jpg", "b.jpg"], ["x"]), (["a.jpg"], ["x", "y"]), (["d"], ["x"]), (["a.jpg"], ["x"])]
)
@pytest.mark.parametrize("name", ["out.jpg", "both.mp4", "a.jxl", "a.pdf", "a.7z", "a.PDF"])
def test_a_folder_is_not_silently_given_the_name_of_a_file(tmp_path, inputs, labels, name):
    files(tmp_path, "a.jpg", "b.jpg", "d/c.jpg")
    if (inputs, labels, name) == (["a.jpg"], ["x"], "out.jpg"):
        return  # a single result
    with pytest.raises(ConfigError) as caught:
        outputs(tmp_path, inputs, name, labels=labels)
    said = f"{caught.value.message} {caught.value.hint}"
    assert name in said or "as .mp4" in said
    assert "jpeg" in said or ".jpg" in said or "both/" in said
    paths = [tmp_path / path for path in inputs]
    plan = plan_outputs(paths, f"{tmp_path}/{name}/", labels, ApplyConfig())
    assert {path.parent for planned in plan.inputs for path in planned.outputs} == {tmp_path / name}
    (tmp_path / name).mkdir()
    assert plan_outputs(paths, tmp_path / name, labels, ApplyConfig()) == plan


def test_a_file_is_not_a_folder_of_results(tmp_path):
    files(tmp_path, "a.jpg", "b.jpg", "out", "2026.07", "c.jpg")
    for output in ("out", "2026.07", "out/"):
        with pytest.raises(ConfigError, match="is a file, not a folder"):
            plan_outputs([tmp_path / "a.jpg"], f"{tmp_path}/{output}", ["mosaic"], ApplyConfig())


def test_a_format_that_contradicts_the_output_files_suffix_is_rejected(tmp_path):
    files(tmp_path, "a.jpg")
    assert outputs(tmp_path, ["a.jpg"], "b.png", format="png") == ["b.png"]
    with pytest.raises(ConfigError, match="contradict"):
        outputs(tmp_path, ["a.jpg"], "b.png", format="jpeg")


def test_an_output_file_of_a_format_that_cannot_be_written_is_rejected(tmp_path):
    files(tmp_path, "a.jpg")
    with pytest.raises(ConfigError, match="gif"):
        outputs(tmp_path, ["a.jpg"], "b.gif")


@pytest.mark.parametrize(
    ("name", "format", "expected"),
    [
        ("a.gif", None, "a-mosaic.png"),
        ("a.HEIC", None, "a-mosaic.jpg"),
        ("a.HIF", None, "a-mosaic.jpg"),
        ("a.JPEG", None, "a-mosaic.jpeg"),
        ("a.tiff", None, "a-mosaic.tiff"),
        ("a.png", "webp", "a-mosaic.webp"),
        ("a.jpeg", "jpeg", "a-mosaic.jpeg"),
    ],
)
def test_suffixes_follow_the_input_or_the_format(tmp_path, name, format, expected):
    files(tmp_path, name)
    assert outputs(tmp_path, [name], format=format) == [expected]


def test_an_unknown_format_is_rejected(tmp_path):
    files(tmp_path, "a.jpg")
    with pytest.raises(ConfigError, match="xyz"):
        outputs(tmp_path, ["a.jpg"], format="xyz")


def test_colliding_results_get_the_source_suffix(tmp_path):
    files(tmp_path, "IMG_1.heic", "IMG_1.jpg", "IMG_2.jpg")
    assert outputs(tmp_path, ["IMG_1.heic", "IMG_1.jpg", "IMG_2.jpg"]) == [
        "IMG_1-heic-mosaic.jpg",
        "IMG_1-jpg-mosaic.jpg",
        "IMG_2-mosaic.jpg",
    ]


def test_results_that_still_collide_keep_the_folders_that_differ(tmp_path):
    files(tmp_path, "one/DCIM/a.jpg", "two/DCIM/a.jpg", "two/DCIM/b.jpg")
    assert sorted(outputs(tmp_path, ["one", "two"], "out", recursive=True)) == [
        "out/DCIM/b-mosaic.jpg",
        "out/one/DCIM/a-mosaic.jpg",
        "out/two/DCIM/a-mosaic.jpg",
    ]


def test_a_list_of_files_of_any_tree_gets_names_of_its_own(tmp_path):
    """Camera cards with equal names, and folders that look like them."""
    names = [
        *(
            "card1/DCIM/100/IMG_1.jpg",
            "card1/DCIM/101/IMG_1.jpg",
            "card2/DCIM/100/IMG_1.jpg",
            "card2/DCIM/100/IMG_1.png",
        ),
        *("card1/DCIM/100/IMG_2.jpg", "card3/IMG_1.jpg", "IMG_1.jpg", "IMG_3.jpg"),
    ]
    files(tmp_path, *names)
    named = outputs(tmp_path, names, "out")
    assert named == [
        "out/card1/DCIM/100/IMG_1-mosaic.jpg",
        "out/card1/DCIM/101/IMG_1-mosaic.jpg",
        "out/card2/DCIM/100/IMG_1-mosaic.jpg",
        "out/IMG_1-mosaic.png",
        "out/IMG_2-mosaic.jpg",
        "out/card3/IMG_1-mosaic.jpg",
        "out/IMG_1-mosaic.jpg",
        "out/IMG_3-mosaic.jpg",
    ]


def test_no_collision_stops_a_batch(tmp_path):
    """Names that are made distinct can be those of other results, as can names with other styles."""
    files(
        tmp_path, "x/one/a.jpg", "x/two/a.jpg", "y/one/a-jpg.jpg", "z/one/a.jpg", "y/b.jpg", "y/b-x.jpg", "y/one/a.jpg"
    )
    inputs = ["y", "x/one/a.jpg", "x/two/a.jpg", "z"]
    named = outputs(tmp_path, inputs, "out", labels=("x", "x-x"))
    assert len(named) == len(set(named)) == 14
    assert named == outputs(tmp_path, inputs, "out", labels=("x", "x-x"))


@pytest.mark.parametrize("other", ["FOO.jpg", "foo.JPG"], ids=["case", "case of the suffix"])
def test_results_whose_names_differ_only_in_case_are_numbered(tmp_path, other):
    files(tmp_path, "in/foo.jpg", f"in/{other}")
    names = outputs(tmp_path, ["in"], "out")
    assert len({name.casefold() for name in names}) == 2


def test_results_whose_names_differ_only_in_normalization_are_numbered(tmp_path):
    files(tmp_path, "in/caf\N{LATIN SMALL LETTER E WITH ACUTE}.jpg", "in/cafe\N{COMBINING ACUTE ACCENT}.jpg")
    names = outputs(tmp_path, ["in"], "out")
    assert len({unicodedata.normalize("NFC", name) for name in names}) == 2


def test_an_input_under_another_spelling_is_not_an_output(tmp_path):
    """A hard link is what a second spelling is in a folder that ignores case."""
    files(tmp_path, "IMG.JPG")
    os.link(tmp_path / "IMG.JPG", tmp_path / "img.jpg")
    with pytest.raises(ConfigError, match="overwritten by its own result"):
        plan_outputs([tmp_path / "IMG.JPG"], tmp_path / "img.jpg", ["mosaic"], ApplyConfig(overwrite=True))


def test_a_photo_named_twice_is_taken_once(tmp_path):
    files(tmp_path, "photos/a.jpg")
    assert outputs(tmp_path, ["photos/a.jpg", "photos/a.jpg", "photos"], "out") == ["out/a-mosaic.jpg"]


def test_earlier_results_are_skipped_as_inputs(tmp_path):
    files(tmp_path, "a.jpg", "a-mosaic.jpg", "b.jpg")
    assert outputs(tmp_path, ["a.jpg", "a-mosaic.jpg", "b.jpg"]) == ["a-mosaic.jpg", "b-mosaic.jpg"]


def test_the_output_folder_inside_the_input_folder_is_skipped(tmp_path):
    files(tmp_path, "photos/a.jpg", "photos/out/a-mosaic.jpg", "photos/out/old-candy.jpg")
    assert outputs(tmp_path, ["photos"], "photos/out") == ["photos/out/a-mosaic.jpg"]


def test_a_folder_may_be_its_own_output_folder(tmp_path):
    files(tmp_path, "photos/a.jpg", "photos/a-mosaic.jpg", "photos/deep/b.jpg")
    assert outputs(tmp_path, ["photos"], "photos") == ["photos/a-mosaic.jpg", "photos/deep/b-mosaic.jpg"]


def test_a_photo_is_never_its_own_result(tmp_path):
    files(tmp_path, "a.jpg")
    with pytest.raises(ConfigError, match="own result"):
        outputs(tmp_path, ["a.jpg"], "a.jpg")


def test_a_photo_is_never_its_own_result_through_a_link(tmp_path):
    files(tmp_path, "a.jpg")
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    with pytest.raises(ConfigError, match="own result"):
        outputs(tmp_path, ["a.jpg"], "link.jpg")


def test_junk_is_skipped(tmp_path):
    files(tmp_path, *(f"p/{n}" for n in ("a.jpg", ".DS_Store", "._a.jpg", "Thumbs.db", "desktop.ini", "x.txt")))
    files(tmp_path, "p/.hidden/b.jpg", "p/.c.stylekit-part.jpg")
    assert outputs(tmp_path, ["p"], "out") == ["out/a-mosaic.jpg"]


def test_files_that_are_not_images_are_counted(tmp_path):
    files(tmp_path, *(f"p/{n}" for n in ("a.jpg", "b.txt", "c.PDF", "deep/d.pdf", "e", ".hidden.txt", "Thumbs.db")))
    files(tmp_path, "p/f.CR2", "p/deep/g.cr2", "q/h.nef", "notes.txt")
    plan = plan_outputs([tmp_path / "p", tmp_path / "q", tmp_path / "notes.txt"], None, ["mosaic"], ApplyConfig())
    assert plan.ignored == {
        "raw photos, which must be developed first (.cr2, .nef)": 3,
        "not images (.pdf, .txt, no suffix)": 4,
    }
    assert plan.share(0, 2).ignored == plan.ignored
    assert plan.share(1, 2).ignored == {}


def test_typescript_is_not_taken_for_video(tmp_path):
    files(tmp_path, "p/a.jpg")
    (tmp_path / "p" / "app.ts").write_text("export const answer = 42;\n")
    (tmp_path / "p" / "clip.ts").write_bytes(b"G" + bytes(187))
    (tmp_path / "p" / "empty.ts").touch()
    os.mkfifo(tmp_path / "p" / "pipe.ts")
    plan = plan_outputs([tmp_path / "p"], None, ["mosaic"], ApplyConfig())
    assert sorted(each.source.name for each in plan.inputs) == ["a.jpg", "clip.ts", "empty.ts", "pipe.ts"]
    assert plan.ignored == {"not images (.ts)": 1}


def test_other_results_in_the_output_folder_are_counted(tmp_path):
    files(tmp_path, "p/a.jpg", "p/out/a-mosaic.jpg", "p/out/b-udnie.jpg")
    plan = plan_outputs([tmp_path / "p"], tmp_path / "p" / "out", ["mosaic"], ApplyConfig())
    assert plan.ignored == {"in the output folder": 1}


def test_a_folder_that_cannot_be_read_fails(tmp_path, without_permission):
    files(tmp_path, "p/a.jpg", "p/locked/b.jpg")
    without_permission(tmp_path / "p" / "locked")
    plan = plan_outputs([tmp_path / "p"], tmp_path / "out", ["mosaic"], ApplyConfig())
    photo, folder = plan.inputs
    assert photo.error is None
    assert (folder.source, folder.outputs) == (tmp_path / "p" / "locked", (tmp_path / "out" / "locked",))
    assert folder.error is not None
    assert "locked: permission denied" in folder.error.message
    with pytest.raises(ImageError, match=r"Cannot read the folder .*locked: permission denied"):
        outputs(tmp_path, ["p/locked"])


@pytest.mark.parametrize("name", ["locked/b.gif", "locked/b.webp", "x" * 300 + ".gif", "loop.gif", "file.gif/b.gif"])
def test_a_photo_that_cannot_be_reached_is_planned_beside_others(tmp_path, without_permission, name):
    files(tmp_path, "a.jpg", "locked/b.gif", "locked/b.webp", "file.gif")
    (tmp_path / "loop.gif").symlink_to("loop.gif")
    without_permission(tmp_path / "locked")
    plan = plan_outputs([tmp_path / "a.jpg", tmp_path / name], tmp_path / "out", ["mosaic"], ApplyConfig())
    assert len(plan.inputs) == 2


def test_finding_inputs_asks_once_about_each_folder(tmp_path, monkeypatch):
    files(tmp_path, *(f"p/{folder}/{number}.jpg" for folder in range(3) for number in range(40)))
    asked = []
    real_path = os.path.realpath
    monkeypatch.setattr("os.path.realpath", lambda path: asked.append(path) or real_path(path))
    outputs(tmp_path, ["p"], "out")
    assert len(asked) < 20


def test_loops_of_links_end(tmp_path):
    files(tmp_path, "p/a.jpg", "p/deep/b.jpg")
    (tmp_path / "p" / "deep" / "again").symlink_to(tmp_path / "p")
    assert outputs(tmp_path, ["p"], "out") == ["out/a-mosaic.jpg", "out/deep/b-mosaic.jpg"]


def test_subfolders_can_be_left_out(tmp_path):
    files(tmp_path, "p/a.jpg", "p/deep/b.jpg")
    assert outputs(tmp_path, ["p"], "out", recursive=False) == ["out/a-mosaic.jpg"]


def test_a_folder_without_photos_is_an_error(tmp_path):
    files(tmp_path, "p/notes.txt")
    with pytest.raises(ImageError, match="No photos"):
        outputs(tmp_path, ["p"])


@pytest.mark.parametrize(
    ("inputs", "labels", "is_batch"),
    [(["a.jpg"], ["x"], False), (["a.jpg"], ["x", "y"], True), (["a.jpg", "b.jpg"], ["x"], True), (["d"], ["x"], True)],
)
def test_a_batch_is_a_folder_or_more_than_one_result(tmp_path, inputs, labels, is_batch):
    files(tmp_path, "a.jpg", "b.jpg", "d/c.jpg")
    assert plan_outputs([tmp_path / i for i in inputs], None, labels, ApplyConfig()).is_batch is is_batch


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.MP4", "a-mosaic.mp4"), ("a.mov", "a-mosaic.mov"), ("a.webm", "a-mosaic.webm"), ("a.avi", "a-mosaic.mkv")],
)
def test_videos_become_videos(tmp_path, name, expected):
    files(tmp_path, f"p/{name}", "p/b.jpg")
    assert outputs(tmp_path, ["p"], "out", format="png") == [f"out/{expected}", "out/b-mosaic.png"]


def animation(path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_an_animation_stays_one_unless_a_photo_format_is_given(tmp_path, suffix):
    animation(tmp_path / f"a.{suffix}")
    assert outputs(tmp_path, [f"a.{suffix}"]) == [f"a-mosaic.{suffix}"]
    assert outputs(tmp_path, [f"a.{suffix}"], format="png") == ["a-mosaic.png"]
    for name, is_video in {"b.gif": True, "b.webp": True, "b.mp4": True, "b.png": False}.items():
        plan = plan_outputs([tmp_path / f"a.{suffix}"], tmp_path / name, ["mosaic"], ApplyConfig())
        assert (plan.inputs[0].outputs, plan.inputs[0].is_video) == ((tmp_path / name,), is_video)
    plan = plan_outputs([tmp_path / f"a.{suffix}"], tmp_path / "b.webp", ["mosaic"], ApplyConfig(format="webp"))
    assert not plan.inputs[0].is_video


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [("a.mp4", "b.png", "the video a.mp4 as .png"), ("a.jpg", "b.mp4", "the photo a.jpg as .mp4")],
)
def test_videos_and_photos_do_not_become_one_another(tmp_path, source, output, message):
    files(tmp_path, source)
    with pytest.raises(ConfigError, match=message):
        outputs(tmp_path, [source], output)


def test_a_codec_that_the_file_cannot_hold_is_rejected_before_any_work(tmp_path):
    files(tmp_path, "a.webm")
    with pytest.raises(ConfigError, match="--codec must be vp9"):
        outputs(tmp_path, ["a.webm"], codec="hevc")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 12])
def test_shares_add_up_to_the_whole_plan(tmp_path, size):
    files(tmp_path, *(f"photos/{number}.jpg" for number in range(10)), "photos/1.png", "photos/video.mp4")
    plan = plan_outputs([tmp_path / "photos"], tmp_path / "out", ["mosaic"], ApplyConfig(format="jpeg"))
    shares = [plan.share(rank, size) for rank in range(size)]
    assert sorted(planned.source for share in shares for planned in share.inputs) == [p.source for p in plan.inputs]
    assert max(len(share.inputs) for share in shares) - min(len(share.inputs) for share in shares) <= 1
    assert {path.name for share in shares for planned in share.inputs for path in planned.outputs} >= {
        "1-png-mosaic.jpg",  # which a share by itself would not have collided with 1.jpg
        "1-jpg-mosaic.jpg",
    }
    assert all(share.is_batch for share in shares)
    assert [planned.source.name for share in shares for planned in share.inputs if planned.is_video] == ["video.mp4"]
