"""Batches: nothing is lost, nothing is done twice, a bad photo fails alone."""

import dataclasses
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import stylekit.apply.loading
import stylekit.apply.runner
from stylekit.apply.loading import _load
from stylekit.apply.reports import FileReport
from stylekit.apply.run import apply_styles
from stylekit.config.apply import ApplyConfig
from stylekit.engines import build_engine
from stylekit.errors import ConfigError, ImageError, OutOfMemory, OutputExists, StylekitError, StyleNotFound
from stylekit.images.pillow import estimate_pixels
from stylekit.images.pixels import Pixels
from stylekit.images.reading import load_photo
from stylekit.images.writing import save_photo
from stylekit.stylization.style import Style
from stylekit.system.files import host_digest
from stylekit.system.locks import NO_LOCKS
from tests.image_material import read_image


def statuses(report):
    return [(file.source.name, file.status) for file in report.files]


def test_every_photo_of_a_folder_is_done_with_its_tree_kept(folder, style_path, tmp_path):
    report = apply_styles([folder], tmp_path / "out", [str(style_path)])
    assert statuses(report) == [("a.jpg", "done"), ("b.png", "done"), ("c.webp", "done")]
    for file in report.files:
        with Image.open(file.output) as image:
            assert image.size == read_image(file.source).size == (file.width, file.height)
    assert (tmp_path / "out" / "deep" / "c-small.webp").is_file()


def test_results_are_not_the_photos(folder, style_path, tmp_path):
    apply_styles([folder / "b.png"], tmp_path / "out.png", [str(style_path)])
    difference = np.asarray(Image.open(tmp_path / "out.png"), int) - np.asarray(Image.open(folder / "b.png"), int)
    assert np.abs(difference).mean() > 10


def test_a_second_run_skips_what_exists_and_makes_what_is_missing(folder, style_path, tmp_path):
    out = tmp_path / "out"
    apply_styles([folder], out, [str(style_path)])
    (out / "b-small.png").unlink()
    kept = (out / "a-small.jpg").stat().st_mtime_ns
    report = apply_styles([folder], out, [str(style_path)])
    assert [status for _, status in statuses(report)] == ["skipped", "done", "skipped"]
    assert (out / "a-small.jpg").stat().st_mtime_ns == kept


def test_without_work_no_network_is_loaded(folder, style_path, tmp_path, monkeypatch):
    apply_styles([folder], tmp_path / "out", [str(style_path)])
    monkeypatch.setattr("stylekit.stylization.style.build_engine", None)
    report = apply_styles([folder], tmp_path / "out", [str(style_path)])
    assert report.count("skipped") == 3


def test_overwrite_replaces(folder, style_path, tmp_path):
    out = tmp_path / "out.jpg"
    out.write_bytes(b"old")
    with pytest.raises(OutputExists, match="already exists"):
        apply_styles([folder / "a.jpg"], out, [str(style_path)])
    assert out.read_bytes() == b"old"
    apply_styles([folder / "a.jpg"], out, [str(style_path)], ApplyConfig(overwrite=True))
    assert read_image(out).size == (40, 30)


def test_a_bad_photo_fails_alone(folder, style_path, tmp_path):
    (folder / "bad.jpg").write_bytes(b"")
    report = apply_styles([folder], tmp_path / "out", [str(style_path)])
    assert (report.count("done"), report.count("failed")) == (3, 1)
    assert report.failures[0].source.name == "bad.jpg"
    assert "empty" in report.failures[0].reason


def test_a_single_bad_photo_is_an_error(folder, style_path, tmp_path):
    (folder / "bad.jpg").write_bytes(b"\xff\xd8 no more")
    with pytest.raises(ImageError):
        apply_styles([folder / "bad.jpg"], None, [str(style_path)])
    assert sorted(path.name for path in folder.iterdir()) == ["a.jpg", "b.png", "bad.jpg", "deep"]


def test_a_missing_photo_fails_alone_in_a_batch(folder, style_path, tmp_path):
    report = apply_styles([folder / "a.jpg", folder / "gone.jpg"], tmp_path / "out", [str(style_path)])
    assert statuses(report) == [("a.jpg", "done"), ("gone.jpg", "failed")]


@pytest.mark.parametrize("output", [None, "out"])
def test_photos_that_cannot_be_reached_fail_alone(folder, style_path, tmp_path, without_permission, output):
    (folder / "locked").mkdir()
    for name in ("locked/d.jpg", "locked/e.gif", "secret.png"):
        (folder / name).write_bytes((folder / "a.jpg").read_bytes())
    (folder / "loop.gif").symlink_to("loop.gif")
    without_permission(folder / "locked")
    without_permission(folder / "secret.png")
    bad = ["locked/d.jpg", "locked/e.gif", "secret.png", "loop.gif", "x" * 300 + ".webp", "a.jpg/f.gif", "null\0.jpg"]
    paths = [folder / name for name in ("a.jpg", *bad, "b.png")]
    report = apply_styles(paths, output and tmp_path / output, style_path)
    assert [file.status for file in report.files] == ["done", *["failed"] * len(bad), "done"]
    assert all(file.reason for file in report.failures)


def test_a_subfolder_that_cannot_be_read_is_a_failure(folder, style_path, tmp_path, stylekit, without_permission):
    without_permission(folder / "deep")
    code, out, errors = stylekit("apply", folder, "-s", style_path, "-o", tmp_path / "out", "--jobs", "0")
    assert (code, len(out.splitlines())) == (3, 2)
    assert f"failed {folder}/deep: Cannot read the folder {folder}/deep: permission denied." in errors.splitlines()
    assert "2 done, 1 failed" in errors
    code, _, errors = stylekit("apply", folder / "deep", "-s", style_path)
    assert code == 1
    assert errors.startswith(f"error: Cannot read the folder {folder}/deep: permission denied.\nhint: ")


def test_files_that_are_not_images_are_counted_at_the_end(folder, style_path, tmp_path, stylekit):
    for name in ("notes.txt", "deep/letter.pdf", ".hidden"):
        (folder / name).touch()
    _, _, errors = stylekit("apply", folder, "-s", style_path, "-o", tmp_path / "out")
    assert errors.splitlines()[-1] == "2 files skipped: not images (.pdf, .txt)"
    (folder / "notes.txt").unlink()
    assert stylekit("apply", folder / "deep", "-s", style_path)[2] == "1 file skipped: not images (.pdf)\n"


def test_an_output_folder_may_have_the_name_of_a_file_if_it_ends_in_a_slash(folder, style_path, tmp_path, stylekit):
    code, _, errors = stylekit("apply", folder, "-s", style_path, "-o", tmp_path / "out.jpg")
    assert code == 2
    assert errors.startswith(
        f"error: --output {tmp_path}/out.jpg is the name of a single file, but a folder's results need a folder."
    )
    assert not (tmp_path / "out.jpg").exists()
    code, out, _ = stylekit("apply", folder, "-s", style_path, "-o", f"{tmp_path}/out.jpg/")
    assert (code, out.splitlines()[0]) == (0, f"{tmp_path}/out.jpg/a-small.jpg")


def test_a_photo_too_large_for_the_device_fails_alone(folder, style_path, tmp_path, monkeypatch):
    stylize = Style.stylize_batch

    def full(self, photos, look):
        if photos[0].shape[1] == 41:
            raise OutOfMemory("Out of memory on cpu.", "Use --max-size.")
        return stylize(self, photos, look)

    monkeypatch.setattr(Style, "stylize_batch", full)
    report = apply_styles([folder], tmp_path / "out", [str(style_path)])
    assert [status for _, status in statuses(report)] == ["done", "failed", "done"]


def test_a_result_that_cannot_be_written_fails_alone(folder, style_path, tmp_path):
    (tmp_path / "out" / "deep").parent.mkdir()
    (tmp_path / "out" / "deep").write_text("a file where a folder should be")
    report = apply_styles([folder], tmp_path / "out", [str(style_path)])
    assert [status for _, status in statuses(report)] == ["done", "done", "failed"]


def test_several_styles_load_once_each_and_decode_a_photo_once(folder, style_path, tmp_path, monkeypatch):
    second = tmp_path / "second.safetensors"
    second.write_bytes(style_path.read_bytes())
    loaded = []
    load = load_photo
    monkeypatch.setattr(
        stylekit.apply.loading, "load_photo", lambda path, **kw: loaded.append(path.name) or load(path, **kw)
    )
    report = apply_styles([folder], tmp_path / "out", [str(style_path), str(second)])
    assert sorted(loaded) == ["a.jpg", "b.png", "c.webp"]
    assert [file.output.name for file in report.files][:2] == ["a-small.jpg", "a-second.jpg"]
    assert report.count("done") == 6


def test_two_styles_of_one_name_are_rejected(folder, style_path):
    with pytest.raises(ConfigError, match="small"):
        apply_styles([folder], None, [str(style_path), str(style_path)])


def test_an_unknown_style_stops_before_any_work(folder, style_path, tmp_path):
    with pytest.raises(StyleNotFound):
        apply_styles([folder], tmp_path / "out", [str(style_path), "nobody"])
    assert not (tmp_path / "out").exists()


def test_a_dry_run_does_nothing(folder, style_path, tmp_path):
    report = apply_styles([folder], tmp_path / "out", [str(style_path)], dry_run=True)
    assert report.count("planned") == 3
    assert not (tmp_path / "out").exists()


def test_settings_reach_the_result(folder, style_path, tmp_path):
    config = ApplyConfig(max_size=20, strength=0, format="png")
    report = apply_styles([folder / "a.jpg"], tmp_path / "out", [str(style_path)], config)
    image = read_image(report.files[0].output)
    assert (image.format, image.size) == ("PNG", (20, 15))


def test_files_are_reported_as_they_come_in_order(folder, style_path, tmp_path):
    seen: list[FileReport] = []
    totals = []
    report = apply_styles(
        [folder],
        tmp_path / "out",
        [str(style_path)],
        on_plan=lambda outputs, is_batch: totals.append((outputs, is_batch)),
        on_file=seen.append,
    )
    assert totals == [(3, True)]
    assert tuple(seen) == report.files


def test_memory_is_bounded_however_slow_the_network(folder, style_path, tmp_path, make_photo, monkeypatch):
    for number in range(20):
        make_photo(16, 16, seed=number).save(folder / f"n{number:02}.png")
    alive, most, lock = [0], [0], threading.Lock()
    load, stylize = load_photo, Style.stylize_batch

    def counting_load(path, **settings):
        with lock:
            alive[0] += 1
            most[0] = max(most[0], alive[0])
        return load(path, **settings)

    def slow(self, photos, look):
        time.sleep(0.02)
        with lock:
            alive[0] -= 1
        return stylize(self, photos, look)

    monkeypatch.setattr(stylekit.apply.loading, "load_photo", counting_load)
    monkeypatch.setattr(Style, "stylize_batch", slow)
    apply_styles([folder], tmp_path / "out", [str(style_path)])
    assert 2 <= most[0] <= 4


@pytest.mark.parametrize(
    ("module", "name"), [(stylekit.apply.loading, "load_photo"), (stylekit.apply.runner, "save_photo")]
)
def test_a_photo_that_exhausts_memory_fails_alone(folder, style_path, tmp_path, monkeypatch, module, name):
    function = getattr(module, name)

    def full(*arguments, **settings):
        if any(getattr(argument, "stem", "").startswith("b") for argument in arguments):
            raise MemoryError
        return function(*arguments, **settings)

    monkeypatch.setattr(module, name, full)
    report = apply_styles([folder], tmp_path / "out", [str(style_path)])
    assert [status for _, status in statuses(report)] == ["done", "failed", "done"]
    assert "Out of memory" in report.failures[0].reason


@pytest.mark.parametrize(
    ("name", "pixels"), [("a.jpg", 1200), ("b.png", 41 * 30), ("deep/c.webp", None), ("gone.jpg", 0), (".", 0)]
)
def test_the_pixels_of_a_photo_are_estimated_before_it_is_decoded(folder, name, pixels):
    if pixels is None:
        pixels = 8 * (folder / name).stat().st_size
    assert estimate_pixels(folder / name) == pixels


def pretend_gpu(monkeypatch):
    """Let engines take their device for a GPU."""

    def build(*arguments, **settings):
        engine: Any = build_engine(*arguments, **settings)
        engine.facts = dataclasses.replace(engine.facts, device="cuda:0")
        return engine

    monkeypatch.setattr("stylekit.stylization.style.build_engine", build)
    monkeypatch.setattr("stylekit.stylization.tiling.free_memory", lambda device: 2**30)


def test_large_photos_are_neither_decoded_nor_stylized_many_at_once(tmp_path, make_photo, style_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    for number in range(9):
        make_photo(24, 16, seed=number).save(tmp_path / "photos" / f"{number}.png")
    alive, most, lock = set(), [0], threading.Lock()
    load, stylize = load_photo, Style.stylize_batch

    def counting_load(path, **settings):
        with lock:
            alive.add(path)
            most[0] = max(most[0], len(alive))
        return load(path, **settings)

    def slow(self, photos, look):
        assert len(photos) <= 2
        time.sleep(0.02)
        with lock:
            for path in sorted(alive)[: len(photos)]:
                alive.remove(path)
        return stylize(self, photos, look)

    monkeypatch.setattr(stylekit.apply.loading, "load_photo", counting_load)
    monkeypatch.setattr(Style, "stylize_batch", slow)
    pretend_gpu(monkeypatch)
    monkeypatch.setattr("stylekit.apply.loading._MAX_PIXELS", 2 * 24 * 16)
    monkeypatch.setattr("stylekit.apply.loading._BUFFER", 9)
    report = apply_styles([tmp_path / "photos"], tmp_path / "out", [str(style_path)])
    assert report.count("done") == 9
    assert 2 <= most[0] <= 4


def test_a_gpu_stylizes_photos_of_one_size_together(tmp_path, make_photo, style_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    sizes = [(24, 16)] * 10 + [(16, 24)] * 2 + [(24, 16)] * 2
    for number, size in enumerate(sizes):
        make_photo(*size, seed=number).save(tmp_path / "photos" / f"{number:02}.png")
    (tmp_path / "photos" / "12.png").write_bytes(b"")
    apply_styles([tmp_path / "photos"], tmp_path / "one by one", [str(style_path)])
    together, stylize = [], Style.stylize_batch

    def recording(self, photos, look):
        together.append(len(photos))
        return stylize(self, photos, look)

    monkeypatch.setattr(Style, "stylize_batch", recording)
    pretend_gpu(monkeypatch)
    report = apply_styles([tmp_path / "photos"], tmp_path / "together", [str(style_path)])
    assert together == [8, 2, 2, 1]
    assert [file.source.name for file in report.files] == [f"{number:02}.png" for number in range(14)]
    assert report.count("done") == 13
    for path in (tmp_path / "one by one").iterdir():
        one, other = (
            np.asarray(Image.open(folder / path.name), int) for folder in (path.parent, tmp_path / "together")
        )
        assert np.abs(one - other).max() <= 1


def test_temporary_files_of_a_killed_run_are_deleted(folder, style_path, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    stale = out / f".a-small.{int(dead.stdout)}-{host_digest()}-12345678.stylekit-part.jpg"
    stale.write_bytes(b"half")
    os.utime(stale, (0, time.time() - 7200))
    apply_styles([folder], out, [str(style_path)])
    assert sorted(path.name for path in out.iterdir()) == ["a-small.jpg", "b-small.png", "deep"]


def test_what_an_interrupted_batch_has_stylized_is_reported(tmp_path, make_photo, style_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    for number in range(4):
        make_photo(40, 30).save(tmp_path / "photos" / f"{number}.png")
    stylize, save = Style.stylize_batch, save_photo
    painted: list[Pixels] = []

    def interrupted(self, photos, look):
        if len(painted) == 2:
            raise KeyboardInterrupt
        painted.extend(photos)
        return stylize(self, photos, look)

    def slow(*arguments, **settings):
        time.sleep(0.2)
        return save(*arguments, **settings)

    monkeypatch.setattr(Style, "stylize_batch", interrupted)
    monkeypatch.setattr(stylekit.apply.runner, "save_photo", slow)
    reported: list[FileReport] = []
    with pytest.raises(KeyboardInterrupt):
        apply_styles([tmp_path / "photos"], tmp_path / "out", [str(style_path)], on_file=reported.append)
    assert [report.output for report in reported] == sorted((tmp_path / "out").iterdir())
    assert [report.status for report in reported] == ["done"] * 2


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_batch_leaves_whole_files_and_resumes(tmp_path, make_photo, style_path, signal_number):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(50):
        make_photo(700, 500, seed=number).save(photos / f"{number:02}.jpg")
    command = [sys.executable, "-m", "stylekit", "apply", str(photos), "-s", str(style_path), "-o", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()
    os.kill(process.pid, signal_number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in errors
    assert "Traceback" not in errors
    made = list(out.iterdir())
    assert 3 <= len(made) < 50
    for path in made:
        Image.open(path).load()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0
    assert f"{50 - len(made)} done, {len(made)} skipped" in again.stderr
    assert len(list(out.iterdir())) == 50


def test_a_killed_batch_leaves_whole_files_and_resumes(tmp_path, make_photo, style_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(30):
        make_photo(700, 500, seed=number).save(photos / f"{number:02}.jpg")
    command = [sys.executable, "-m", "stylekit", "apply", str(photos), "-s", str(style_path), "-o", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    process.kill()
    process.communicate(timeout=60)
    made = {path: path.stat().st_mtime_ns for path in out.glob("[!.]*.jpg")}  # hidden: what it was writing
    assert 5 <= len(made) < 30
    for path in made:
        Image.open(path).load()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"{30 - len(made)} done, {len(made)} skipped" in again.stderr
    assert len(list(out.glob("[!.]*"))) == 30
    assert all(path.stat().st_mtime_ns == time for path, time in made.items())


def deadly_load(job, **settings):
    if job.source.name == "b.png":
        os.kill(os.getpid(), signal.SIGKILL)
    return _load(job, **settings)


def test_a_photo_that_kills_its_decoder_fails_alone(folder, style_path, tmp_path, monkeypatch):
    monkeypatch.setattr("stylekit.apply.loading._load", deadly_load)
    report = apply_styles([folder], tmp_path / "out", [str(style_path)], ApplyConfig(jobs=2))
    assert [status for _, status in statuses(report)] == ["done", "failed", "done"]
    assert "b.png crashed or blocked its decoder" in report.failures[0].reason


def test_processes_decode_as_threads_do(folder, style_path, tmp_path):
    (folder / "bad.jpg").write_bytes(b"")
    reports = [
        apply_styles([folder], tmp_path / f"out{jobs}", [str(style_path)], ApplyConfig(jobs=jobs)) for jobs in (0, 2)
    ]
    assert statuses(reports[0]) == statuses(reports[1])
    assert reports[0].failures[0].hint == reports[1].failures[0].hint
    for one, other in zip(*(report.files for report in reports), strict=True):
        if one.status == "done":
            assert one.output.read_bytes() == other.output.read_bytes()


def test_a_single_photo_is_decoded_in_this_process(folder, style_path, monkeypatch):
    monkeypatch.setattr("stylekit.apply.loading._load", deadly_load)
    monkeypatch.setattr("os.kill", lambda pid, signal_number: None)
    assert apply_styles([folder / "b.png"], None, [str(style_path)], ApplyConfig(jobs=2)).count("done") == 1


on_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not delete a working folder")
GONE = "The working folder no longer exists."


@pytest.fixture
def gone(tmp_path, monkeypatch):
    """A working folder that no longer exists."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()


@on_posix
@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize(
    ("inputs", "output"),
    [
        (["{folder}/a.jpg"], "out.jpg"),
        (["{folder}/a.jpg", "{folder}/b.png"], "out"),
        (["a.jpg"], "{folder}/out.jpg"),
        (["a.gif", "../b.jpg"], "{folder}/out"),
        (["."], None),
        ([".."], "{folder}/out"),
        (["{folder}"], "out"),
    ],
)
def test_paths_relative_to_a_deleted_working_folder_are_one_clear_error(folder, style_path, inputs, output):
    paths = [path.format(folder=folder) for path in inputs]
    with pytest.raises(StylekitError) as caught:
        apply_styles(paths, output and output.format(folder=folder), style_path)
    assert (caught.value.message, caught.value.hint) == (GONE, "Change to another folder with `cd`.")


@on_posix
@pytest.mark.usefixtures("gone")
def test_absolute_paths_do_not_need_the_working_folder(folder, style_path):
    report = apply_styles([folder / "a.jpg", folder / "b.png"], folder / "out", style_path)
    assert [status for _, status in statuses(report)] == ["done", "done"]


@on_posix
def test_a_working_folder_that_is_deleted_during_a_batch_ends_it(tmp_path, make_photo, style_path, monkeypatch):
    work = tmp_path / "work"
    (work / "photos").mkdir(parents=True)
    for number in range(8):
        make_photo(24, 24, seed=number).save(work / "photos" / f"{number}.jpg")
    monkeypatch.chdir(work)
    report = apply_styles("photos", "out", style_path, on_file=lambda file: shutil.rmtree(work, ignore_errors=True))
    assert report.error is not None
    assert report.error.message == GONE
    assert 1 <= report.count("done") < 8  # some may fail, because the photos disappear before the folder does


@on_posix
def test_the_note_about_an_output_folder_without_locks_is_printed_once(tmp_path, style_path, monkeypatch, stylekit):
    def flock(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    pytest.importorskip("av", reason="the extra video is not installed")
    from tests.video_material import photo, write_video

    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, [photo(number) for number in range(2)])
    monkeypatch.setattr("fcntl.flock", flock)
    code, _, err = stylekit("apply", tmp_path / "a.mp4", tmp_path / "b.mp4", "-s", style_path, "-o", tmp_path / "out")
    assert code == 0
    assert err.count(NO_LOCKS) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a-small.mp4", "b-small.mp4"]


def test_paths_may_be_strings(folder, style_path, tmp_path):
    report = apply_styles([str(folder / "a.jpg")], str(tmp_path / "x.jpg"), [str(style_path)])
    assert report.files[0].output == Path(tmp_path / "x.jpg")


def test_an_input_and_a_style_need_no_list(folder, style_path, tmp_path):
    for number, kind in enumerate((str, Path)):
        report = apply_styles(kind(folder), tmp_path / str(number), kind(style_path))
        assert statuses(report) == [("a.jpg", "done"), ("b.png", "done"), ("c.webp", "done")]
        assert {file.style for file in report.files} == {str(style_path)}


def test_a_style_may_be_a_name(folder, tmp_path):
    report = apply_styles(str(folder), str(tmp_path / "out"), "starry-night", dry_run=True)
    assert [file.output.name for file in report.files] == [
        "a-starry-night.jpg",
        "b-starry-night.png",
        "c-starry-night.webp",
    ]


def test_a_batch_without_styles_is_rejected(folder, tmp_path):
    with pytest.raises(ConfigError, match="No style"):
        apply_styles(folder, tmp_path / "out", [])


def test_one_unreadable_photo_on_the_command_line_does_not_refuse_the_others(
    folder, style_path, tmp_path, stylekit, without_permission
):
    (folder / "locked").mkdir()
    (folder / "locked" / "d.jpg").write_bytes((folder / "a.jpg").read_bytes())
    without_permission(folder / "locked")
    bad = [folder / "locked" / "d.jpg", folder / ("x" * 300 + ".gif"), folder / "a.jpg" / "f.webp", folder / "gone.png"]
    names = tmp_path / "names.txt"
    names.write_text("\n".join(map(str, [*bad, folder / "b.png"])))
    options = ("-s", style_path, "-o", tmp_path / "out", "--jobs", "0")
    for inputs in ((folder / "a.jpg", *bad, folder / "b.png"), (folder / "a.jpg", "--files-from", names)):
        code, _, errors = stylekit("apply", *inputs, *options, "--overwrite")
        assert code == 3
        assert sum(line.startswith("failed ") for line in errors.splitlines()) == 4
        assert "2 done, 4 failed in " in errors
    for path in bad:
        code, _, errors = stylekit("apply", path, *options)
        assert code == 1
        assert errors.startswith("error: ")
        assert len(errors.splitlines()) <= 2
