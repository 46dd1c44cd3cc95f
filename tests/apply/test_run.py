"""Batches: nothing is lost, nothing is done twice, a bad photo costs only itself."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stylekit.apply.run
from stylekit.apply.run import _load, apply_styles
from stylekit.config.apply import ApplyConfig
from stylekit.errors import ConfigError, ImageError, OutOfMemory, OutputExists, StyleNotFound
from stylekit.images.pillow import estimate_pixels
from stylekit.system.files import _machine


@pytest.fixture
def folder(tmp_path, make_photo):
    """Three photos, one of them deep."""
    for number, name in enumerate(["a.jpg", "b.png", "deep/c.webp"]):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make_photo(40 + number, 30, seed=number).save(path)
    return tmp_path / "photos"


def statuses(report):
    return [(file.source.name, file.status) for file in report.files]


def test_every_photo_of_a_folder_is_done_with_its_tree_kept(folder, style_path, tmp_path):
    report = apply_styles([folder], tmp_path / "out", [str(style_path)])
    assert statuses(report) == [("a.jpg", "done"), ("b.png", "done"), ("c.webp", "done")]
    for file in report.files:
        with Image.open(file.output) as picture:
            assert picture.size == Image.open(file.source).size == (file.width, file.height)
    assert (tmp_path / "out" / "deep" / "c-small.webp").is_file()


def test_results_are_not_the_photos(folder, style_path, tmp_path):
    apply_styles([folder / "b.png"], tmp_path / "out.png", [str(style_path)])
    difference = np.asarray(Image.open(tmp_path / "out.png"), int) - np.asarray(Image.open(folder / "b.png"), int)
    assert np.abs(difference).mean() > 10


def test_run_again_skips_what_is_there_and_makes_what_is_missing(folder, style_path, tmp_path):
    out = tmp_path / "out"
    apply_styles([folder], out, [str(style_path)])
    (out / "b-small.png").unlink()
    kept = (out / "a-small.jpg").stat().st_mtime_ns
    report = apply_styles([folder], out, [str(style_path)])
    assert [status for _, status in statuses(report)] == ["skipped", "done", "skipped"]
    assert (out / "a-small.jpg").stat().st_mtime_ns == kept


def test_nothing_to_do_loads_no_network(folder, style_path, tmp_path, monkeypatch):
    apply_styles([folder], tmp_path / "out", [str(style_path)])
    monkeypatch.setattr("stylekit.stylization.style.build_engine", None)
    report = apply_styles([folder], tmp_path / "out", [str(style_path)])
    assert report.count("skipped") == 3


def test_overwrite_replaces(folder, style_path, tmp_path):
    out = tmp_path / "out.jpg"
    out.write_bytes(b"old")
    with pytest.raises(OutputExists, match="exists already"):
        apply_styles([folder / "a.jpg"], out, [str(style_path)])
    assert out.read_bytes() == b"old"
    apply_styles([folder / "a.jpg"], out, [str(style_path)], ApplyConfig(overwrite=True))
    assert Image.open(out).size == (40, 30)


def test_a_bad_photo_costs_only_itself(folder, style_path, tmp_path):
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


def test_a_missing_photo_costs_only_itself_in_a_batch(folder, style_path, tmp_path):
    report = apply_styles([folder / "a.jpg", folder / "gone.jpg"], tmp_path / "out", [str(style_path)])
    assert statuses(report) == [("a.jpg", "done"), ("gone.jpg", "failed")]


def test_a_photo_too_large_for_the_device_costs_only_itself(folder, style_path, tmp_path, monkeypatch):
    stylize = stylekit.apply.run.Style.stylize_together

    def full(self, photos, **settings):
        if photos[0].shape[1] == 41:
            raise OutOfMemory("Out of memory on cpu.", "Use --max-size.")
        return stylize(self, photos, **settings)

    monkeypatch.setattr(stylekit.apply.run.Style, "stylize_together", full)
    report = apply_styles([folder], tmp_path / "out", [str(style_path)])
    assert [status for _, status in statuses(report)] == ["done", "failed", "done"]


def test_a_result_that_cannot_be_written_costs_only_itself(folder, style_path, tmp_path):
    (tmp_path / "out" / "deep").parent.mkdir()
    (tmp_path / "out" / "deep").write_text("a file where a folder should be")
    report = apply_styles([folder], tmp_path / "out", [str(style_path)])
    assert [status for _, status in statuses(report)] == ["done", "done", "failed"]


def test_several_styles_load_once_each_and_decode_a_photo_once(folder, style_path, tmp_path, monkeypatch):
    second = tmp_path / "second.safetensors"
    second.write_bytes(style_path.read_bytes())
    loaded = []
    load = stylekit.apply.run.load_photo
    monkeypatch.setattr(
        stylekit.apply.run, "load_photo", lambda path, **kw: loaded.append(path.name) or load(path, **kw)
    )
    report = apply_styles([folder], tmp_path / "out", [str(style_path), str(second)])
    assert sorted(loaded) == ["a.jpg", "b.png", "c.webp"]
    assert [file.output.name for file in report.files][:2] == ["a-small.jpg", "a-second.jpg"]
    assert report.count("done") == 6


def test_two_styles_of_one_name_are_refused(folder, style_path):
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
    picture = Image.open(report.files[0].output)
    assert (picture.format, picture.size) == ("PNG", (20, 15))


def test_files_are_reported_as_they_come_in_order(folder, style_path, tmp_path):
    seen, totals = [], []
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
    load, stylize = stylekit.apply.run.load_photo, stylekit.apply.run.Style.stylize_together

    def counting_load(path, **settings):
        with lock:
            alive[0] += 1
            most[0] = max(most[0], alive[0])
        return load(path, **settings)

    def slow(self, photos, **settings):
        time.sleep(0.02)
        with lock:
            alive[0] -= 1
        return stylize(self, photos, **settings)

    monkeypatch.setattr(stylekit.apply.run, "load_photo", counting_load)
    monkeypatch.setattr(stylekit.apply.run.Style, "stylize_together", slow)
    apply_styles([folder], tmp_path / "out", [str(style_path)])
    assert 2 <= most[0] <= 4


@pytest.mark.parametrize("name", ["load_photo", "save_photo"])
def test_a_photo_that_memory_runs_out_for_on_its_way_costs_only_itself(folder, style_path, tmp_path, monkeypatch, name):
    function = getattr(stylekit.apply.run, name)

    def full(*arguments, **settings):
        if any(getattr(argument, "stem", "").startswith("b") for argument in arguments):
            raise MemoryError
        return function(*arguments, **settings)

    monkeypatch.setattr(stylekit.apply.run, name, full)
    report = apply_styles([folder], tmp_path / "out", [str(style_path)])
    assert [status for _, status in statuses(report)] == ["done", "failed", "done"]
    assert "Out of memory" in report.failures[0].reason


@pytest.mark.parametrize(
    ("name", "pixels"), [("a.jpg", 1200), ("b.png", 41 * 30), ("deep/c.webp", None), ("gone.jpg", 0), (".", 0)]
)
def test_how_many_pixels_a_photo_has_is_told_before_it_is_decoded(folder, name, pixels):
    if pixels is None:
        pixels = 8 * (folder / name).stat().st_size
    assert estimate_pixels(folder / name) == pixels


def test_large_photos_are_neither_decoded_nor_painted_many_at_once(tmp_path, make_photo, style_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    for number in range(9):
        make_photo(24, 16, seed=number).save(tmp_path / "photos" / f"{number}.png")
    alive, most, lock = set(), [0], threading.Lock()
    load, stylize = stylekit.apply.run.load_photo, stylekit.apply.run.Style.stylize_together

    def counting_load(path, **settings):
        with lock:
            alive.add(path)
            most[0] = max(most[0], len(alive))
        return load(path, **settings)

    def slow(self, photos, **settings):
        assert len(photos) <= 2
        time.sleep(0.02)
        with lock:
            for path in sorted(alive)[: len(photos)]:
                alive.remove(path)
        return stylize(self, photos, **settings)

    monkeypatch.setattr(stylekit.apply.run, "load_photo", counting_load)
    monkeypatch.setattr(stylekit.apply.run.Style, "stylize_together", slow)
    monkeypatch.setattr("stylekit.engines.onnxruntime_engine.OnnxruntimeEngine.device", "cuda:0")
    monkeypatch.setattr("stylekit.stylization.tiling.free_memory", lambda device: 2**30)
    monkeypatch.setattr("stylekit.apply.run._MOST_PIXELS", 2 * 24 * 16)
    monkeypatch.setattr("stylekit.apply.run._AHEAD", 9)
    report = apply_styles([tmp_path / "photos"], tmp_path / "out", [str(style_path)])
    assert report.count("done") == 9
    assert 2 <= most[0] <= 4


def test_a_gpu_paints_photos_of_one_size_together(tmp_path, make_photo, style_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    sizes = [(24, 16)] * 10 + [(16, 24)] * 2 + [(24, 16)] * 2
    for number, size in enumerate(sizes):
        make_photo(*size, seed=number).save(tmp_path / "photos" / f"{number:02}.png")
    (tmp_path / "photos" / "12.png").write_bytes(b"")
    apply_styles([tmp_path / "photos"], tmp_path / "one by one", [str(style_path)])
    together, stylize = [], stylekit.apply.run.Style.stylize_together

    def recording(self, photos, **settings):
        together.append(len(photos))
        return stylize(self, photos, **settings)

    monkeypatch.setattr(stylekit.apply.run.Style, "stylize_together", recording)
    monkeypatch.setattr("stylekit.engines.onnxruntime_engine.OnnxruntimeEngine.device", "cuda:0")
    monkeypatch.setattr("stylekit.stylization.tiling.free_memory", lambda device: 2**30)
    report = apply_styles([tmp_path / "photos"], tmp_path / "together", [str(style_path)])
    assert together == [8, 2, 2, 1]
    assert [file.source.name for file in report.files] == [f"{number:02}.png" for number in range(14)]
    assert report.count("done") == 13
    for path in (tmp_path / "one by one").iterdir():
        one, other = (
            np.asarray(Image.open(folder / path.name), int) for folder in (path.parent, tmp_path / "together")
        )
        assert np.abs(one - other).max() <= 1


def test_what_a_killed_run_left_is_cleared(folder, style_path, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    stale = out / f".a-small.{int(dead.stdout)}-{_machine()}-12345678.stylekit-part.jpg"
    stale.write_bytes(b"half")
    apply_styles([folder], out, [str(style_path)])
    assert sorted(path.name for path in out.iterdir()) == ["a-small.jpg", "b-small.png", "deep"]


def test_whatever_an_interrupted_batch_has_painted_is_reported(tmp_path, make_photo, style_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    for number in range(4):
        make_photo(40, 30).save(tmp_path / "photos" / f"{number}.png")
    stylize, save, painted = stylekit.apply.run.Style.stylize_together, stylekit.apply.run.save_photo, []

    def interrupted(self, photos, **settings):
        if len(painted) == 2:
            raise KeyboardInterrupt
        painted.extend(photos)
        return stylize(self, photos, **settings)

    def slow(*arguments, **settings):
        time.sleep(0.2)
        return save(*arguments, **settings)

    monkeypatch.setattr(stylekit.apply.run.Style, "stylize_together", interrupted)
    monkeypatch.setattr(stylekit.apply.run, "save_photo", slow)
    told = []
    with pytest.raises(KeyboardInterrupt):
        apply_styles([tmp_path / "photos"], tmp_path / "out", [str(style_path)], on_file=told.append)
    assert [report.output for report in told] == sorted((tmp_path / "out").iterdir())
    assert [report.status for report in told] == ["done"] * 2


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_batch_leaves_whole_files_and_goes_on_later(tmp_path, make_photo, style_path, signal_number):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(50):
        make_photo(700, 500, seed=number).save(photos / f"{number:02}.jpg")
    command = [sys.executable, "-m", "stylekit", "apply", str(photos), "-s", str(style_path), "-o", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
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


def test_a_killed_batch_leaves_whole_files_and_goes_on_where_it_was(tmp_path, make_photo, style_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(30):
        make_photo(700, 500, seed=number).save(photos / f"{number:02}.jpg")
    command = [sys.executable, "-m", "stylekit", "apply", str(photos), "-s", str(style_path), "-o", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
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
    assert len(list(out.iterdir())) == 30  # nothing half-written is left either
    assert all(path.stat().st_mtime_ns == time for path, time in made.items())


def deadly_load(job, **settings):
    if job.source.name == "b.png":
        os.kill(os.getpid(), signal.SIGKILL)
    return _load(job, **settings)


def test_a_photo_that_kills_its_decoder_costs_only_itself(folder, style_path, tmp_path, monkeypatch):
    monkeypatch.setattr("stylekit.apply.run._load", deadly_load)
    report = apply_styles([folder], tmp_path / "out", [str(style_path)], ApplyConfig(jobs=2))
    assert [status for _, status in statuses(report)] == ["done", "failed", "done"]
    assert "b.png brought its decoder down" in report.failures[0].reason


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
    monkeypatch.setattr("stylekit.apply.run._load", deadly_load)
    monkeypatch.setattr("os.kill", lambda pid, signal_number: None)
    assert apply_styles([folder / "b.png"], None, [str(style_path)], ApplyConfig(jobs=2)).count("done") == 1


def test_paths_may_be_strings(folder, style_path, tmp_path):
    report = apply_styles([str(folder / "a.jpg")], str(tmp_path / "x.jpg"), [str(style_path)])
    assert report.files[0].output == Path(tmp_path / "x.jpg")
