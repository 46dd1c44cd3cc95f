"""Watched folders: what arrives is stylized once, when it is complete.

`on_wait` is the event that tests wait for: each call carries out the next step, and after the last one the watch ends.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import stylekit.apply.loading
from stylekit.apply.reports import FileReport
from stylekit.apply.watch import watch_folders
from stylekit.config.apply import ApplyConfig
from stylekit.engines import build_engine
from stylekit.errors import ConfigError, ImageError, StylekitError
from stylekit.system.processes import _Worker
from tests.image_material import read_image

pytest.importorskip("watchfiles", reason="the extra watch is not installed")


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def photo(tmp_path, make_photo):
    """A photo outside of the watched folder."""
    make_photo(40, 30, seed=1).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


@pytest.fixture
def other_photo(tmp_path, make_photo):
    make_photo(50, 30, seed=2).save(tmp_path / "other.jpg")
    return tmp_path / "other.jpg"


@pytest.fixture
def watch(inbox, style_path, tmp_path):
    """Watch the inbox, with a step each time that nothing is left to do; return the report and all reports of files."""

    def call(*steps, output=tmp_path / "out", folders=inbox, **settings):
        left = list(steps)
        seen: list[FileReport] = []

        def proceed():
            if not left:
                raise KeyboardInterrupt
            left.pop(0)()

        config = ApplyConfig(**settings)
        report = watch_folders(folders, output, str(style_path), config, on_file=seen.append, on_wait=proceed)
        assert left == [] or report.error is not None
        return report, [(file.source.name, file.status) for file in seen]

    return call


@pytest.mark.parametrize("polling", ["", "1"])
def test_what_is_there_is_stylized_and_then_what_arrives(watch, inbox, photo, tmp_path, polling, monkeypatch):
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", polling)
    shutil.copy(photo, inbox / "a.jpg")
    report, seen = watch(lambda: shutil.copy(photo, inbox / "b.jpg"), lambda: shutil.copy(photo, inbox / "c.jpg"))
    assert seen == [("a.jpg", "done"), ("b.jpg", "done"), ("c.jpg", "done")]
    assert [file.source.name for file in report.files] == ["a.jpg", "b.jpg", "c.jpg"]
    assert report.error is None
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a-small.jpg", "b-small.jpg", "c-small.jpg"]


def test_results_are_those_of_an_ordinary_run(watch, inbox, photo, tmp_path, style_path):
    watch(lambda: shutil.copy(photo, inbox / "a.jpg"))
    stylekit.apply_styles(inbox, tmp_path / "ordinary", style_path)
    assert (tmp_path / "out" / "a-small.jpg").read_bytes() == (tmp_path / "ordinary" / "a-small.jpg").read_bytes()


def test_networks_and_worker_processes_serve_all_files(watch, inbox, photo, monkeypatch):
    engines, processes = [], []

    def build(*arguments, **settings):
        engines.append(arguments)
        return build_engine(*arguments, **settings)

    class Process(_Worker[Any, Any]):
        def __init__(self, *arguments):
            processes.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr("stylekit.stylization.style.build_engine", build)
    monkeypatch.setattr("stylekit.system.processes._Worker", Process)
    _, seen = watch(*(lambda n=n: shutil.copy(photo, inbox / f"{n}.jpg") for n in range(3)), jobs=1)
    assert [status for _, status in seen] == ["done"] * 3
    assert (len(engines), len(processes)) == (1, 1)


def test_a_half_copied_file_waits_for_the_other_half(watch, inbox, photo):
    data = photo.read_bytes()

    def copy_half():
        (inbox / "a.jpg").write_bytes(data[: len(data) // 2])

    def copy_the_rest():
        with (inbox / "a.jpg").open("ab") as file:
            file.write(data[len(data) // 2 :])

    report, seen = watch(copy_half, copy_the_rest)
    assert seen == [("a.jpg", "done")]
    assert read_image(report.files[0].output).size == (40, 30)


def test_downloads_are_stylized_once_they_have_their_name(watch, inbox, photo):
    partial = [inbox / name for name in ("a.jpg.part", "b.jpg.crdownload", ".c.jpg.Xy12", "d.jpg~", "e.jpg")]

    def download():
        for path in partial[:4]:
            shutil.copy(photo, path)
        partial[4].touch()  # as Firefox does, with the data in `e.jpg.part`
        shutil.copy(photo, inbox / "last.jpg")

    def rename():
        for path, name in zip(partial[:4], "abcd", strict=True):
            path.rename(inbox / f"{name}.jpg")
        Path(shutil.copy(photo, inbox / "e.jpg.part")).replace(partial[4])

    _, seen = watch(download, rename)
    assert seen[0] == ("last.jpg", "done")
    assert sorted(seen[1:]) == [(f"{name}.jpg", "done") for name in "abcde"]


def test_a_file_that_is_deleted_before_its_turn_is_no_failure(watch, inbox, photo, monkeypatch):
    load = stylekit.apply.loading._load

    def slow_load(job, **settings):
        if job.source.name == "b.jpg":
            job.source.unlink()
        return load(job, **settings)

    monkeypatch.setattr("stylekit.apply.loading._load", slow_load)
    report, seen = watch(lambda: [shutil.copy(photo, inbox / name) for name in ("a.jpg", "b.jpg")])
    assert seen == [("a.jpg", "done")]
    assert len(report.files) == 1


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_new_version_replaces_the_result_only_with_overwrite(watch, inbox, photo, other_photo, overwrite):
    report, seen = watch(
        lambda: shutil.copy(photo, inbox / "a.jpg"),
        lambda: shutil.copy(other_photo, inbox / "a.jpg"),
        overwrite=overwrite,
    )
    assert seen == [("a.jpg", "done"), ("a.jpg", "done" if overwrite else "skipped")]
    assert [file.status for file in report.files] == ["done"]
    assert read_image(report.files[0].output).size == ((50, 30) if overwrite else (40, 30))


def test_a_deleted_result_is_painted_again_from_a_new_version(watch, inbox, photo, other_photo, tmp_path):
    def replace():
        (tmp_path / "out" / "a-small.jpg").unlink()
        shutil.copy(other_photo, inbox / "a.jpg")

    report, seen = watch(lambda: shutil.copy(photo, inbox / "a.jpg"), replace)
    assert seen == [("a.jpg", "done")] * 2
    assert read_image(report.files[0].output).size == (50, 30)


def test_folders_that_arrive_are_searched(watch, inbox, photo, tmp_path):
    (tmp_path / "new").mkdir()
    shutil.copy(photo, tmp_path / "new" / "a.jpg")

    def make_deep():
        (inbox / "x" / "y").mkdir(parents=True)
        shutil.copy(photo, inbox / "x" / "y" / "b.jpg")

    report, seen = watch(lambda: (tmp_path / "new").rename(inbox / "new"), make_deep)
    assert seen == [("a.jpg", "done"), ("b.jpg", "done")]
    assert report.files[1].output == tmp_path / "out" / "x" / "y" / "b-small.jpg"


def test_subfolders_can_be_left_alone(watch, inbox, photo):
    def copy():
        (inbox / "deep").mkdir()
        for name in ("deep/a.jpg", "b.jpg"):
            shutil.copy(photo, inbox / name)

    assert watch(copy, recursive=False)[1] == [("b.jpg", "done")]


def test_of_many_files_at_once_each_is_stylized_once(watch, inbox, tmp_path, make_photo):
    make_photo(16, 16).save(tmp_path / "tiny.bmp")

    def burst():
        for number in range(200):
            os.link(tmp_path / "tiny.bmp", inbox / f"{number:03}.bmp")

    report, seen = watch(burst)
    assert sorted(seen) == [(f"{number:03}.bmp", "done") for number in range(200)]
    assert report.count("done") == len(list((tmp_path / "out").iterdir())) == 200


@pytest.mark.parametrize("output", ["inbox/painted", "inbox"])
def test_results_in_the_watched_folder_are_not_stylized(watch, inbox, photo, tmp_path, output):
    steps = [lambda: shutil.copy(photo, inbox / "a.jpg"), lambda: shutil.copy(photo, inbox / "b.jpg")]
    _, seen = watch(*steps, output=tmp_path / output)
    assert seen == [("a.jpg", "done"), ("b.jpg", "done")]
    assert sum(len(files) for _, _, files in os.walk(inbox)) == 4


def test_paintings_that_arrive_are_skipped_without_again(watch, inbox, photo, tmp_path, style_path):
    stylekit.apply_styles(photo, tmp_path / "painting.jpg", style_path)
    assert watch(lambda: shutil.copy(tmp_path / "painting.jpg", inbox))[1] == [("painting.jpg", "skipped")]


def test_a_restart_skips_what_is_painted(watch, inbox, photo):
    watch(lambda: shutil.copy(photo, inbox / "a.jpg"))
    _, seen = watch(lambda: shutil.copy(photo, inbox / "b.jpg"))
    assert seen == [("a.jpg", "skipped"), ("b.jpg", "done")]


def test_a_failure_is_reported_once_and_tried_again_when_the_file_changes(watch, inbox, photo, monkeypatch):
    monkeypatch.setattr("stylekit.apply.arrivals._PATIENCE_SECONDS", 0)
    steps = [
        lambda: (inbox / "a.jpg").write_text("no photo"),
        lambda: shutil.copy(photo, inbox / "b.jpg"),
        lambda: shutil.copy(photo, inbox / "a.jpg"),
    ]
    report, seen = watch(*steps)
    assert seen == [("a.jpg", "failed"), ("b.jpg", "done"), ("a.jpg", "done")]
    assert report.failures == ()


@pytest.mark.parametrize("device", [None, -1])
def test_a_folder_that_is_removed_or_unmounted_ends_the_watch(watch, inbox, photo, device, monkeypatch):
    def remove():
        if device is None:
            shutil.rmtree(inbox)
        else:
            monkeypatch.setattr("stylekit.apply.watch._device", lambda folder: device)

    report, seen = watch(lambda: shutil.copy(photo, inbox / "a.jpg"), remove)
    assert seen == [("a.jpg", "done")]
    assert report.error is not None
    assert report.error.message == f"{inbox} was removed, renamed or unmounted."


def test_a_full_disk_ends_the_watch(watch, inbox, photo, monkeypatch):
    def full(*arguments, **settings):
        raise ImageError("Cannot write a-small.jpg.") from OSError(28, "No space left on device")

    monkeypatch.setattr("stylekit.apply.runner.save_photo", full)
    report, seen = watch(lambda: shutil.copy(photo, inbox / "a.jpg"))
    assert (seen, report.files) == ([], ())
    assert report.error is not None
    assert report.error.message == "Cannot write a-small.jpg."


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode elsewhere")
def test_names_that_are_not_unicode_do_not_end_the_watch(watch, inbox, photo):
    strange = Path(os.fsdecode(os.fsencode(inbox / "a") + b"\xff.jpg"))
    _, seen = watch(lambda: shutil.copy(photo, strange), lambda: shutil.copy(photo, inbox / "b.jpg"))
    assert seen == [(strange.name, "done"), ("b.jpg", "done")]


def test_changes_that_no_event_reports_are_found_by_looking(watch, inbox, photo, monkeypatch):
    def deaf(*folders, **settings):
        while True:
            yield set()

    monkeypatch.setattr("watchfiles.watch", deaf)
    monkeypatch.setattr("stylekit.apply.watch._LOOK_SECONDS", 0.1)
    assert watch(lambda: shutil.copy(photo, inbox / "a.jpg"))[1] == [("a.jpg", "done")]


def test_a_system_that_cannot_report_changes_ends_the_watch_with_a_hint(watch, monkeypatch):
    def limited(*folders, **settings):
        raise OSError("OS file watch limit reached.")
        yield

    monkeypatch.setattr("watchfiles.watch", limited)
    report, _ = watch()
    assert report.error is not None
    assert "OS file watch limit reached" in report.error.message
    assert "WATCHFILES_FORCE_POLLING=1" in report.error.hint


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [("photo.jpg", ConfigError, "--watch needs folders"), ("gone", ImageError, "gone does not exist")],
)
def test_only_folders_can_be_watched(watch, inbox, photo, name, error, match):
    with pytest.raises(error, match=match):
        watch(folders=[inbox, photo.with_name(name)])


def test_errors_of_the_command_come_before_anything_is_waited_for(watch, inbox):
    with pytest.raises(ConfigError, match="name of a single file"):
        watch(output=inbox.with_name("result.jpg"))
    with pytest.raises(StylekitError, match="Unknown style"):
        watch_folders(inbox, None, "nobody")
