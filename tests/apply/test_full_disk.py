"""A disk that fills up in the middle of a write, as a limit on the size of files."""

import errno
import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from PIL import Image

import stylekit.system.files
from stylekit.apply.run import apply_styles
from stylekit.errors import ImageError
from tests.video_material import photo as frame
from tests.video_material import write_video

if sys.platform == "win32":
    pytest.skip("file sizes cannot be limited there", allow_module_level=True)

SCRIPT = """
import resource, signal, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from stylekit.errors import StylekitError

target, limit = Path(sys.argv[1]), int(sys.argv[2])
noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)


def photo():
    from stylekit.images.formats import format_of_suffix
    from stylekit.images.photo import Photo
    from stylekit.images.writing import save_photo

    save_photo(Photo(noise), target, format=format_of_suffix(target.suffix), quality=95)


def animation():
    from stylekit.video.animations import write_animation
    from stylekit.video.frames import Video

    video = Video(target, 200, 200, Fraction(1, 1000), Fraction(10), length=3)
    write_animation([(Fraction(n, 10), np.roll(noise, n), None) for n in (1, 2, 3)], target, video, quality=90)


def video():
    from stylekit.video.frames import Video
    from stylekit.video.writer import write_segment

    video = Video(target, 200, 200, Fraction(1, 25), Fraction(25), length=50)
    write_segment([(n, np.roll(noise, n), None) for n in range(50)], target, video, codec="h264", crf=10)


def joined():
    from stylekit.video.frames import Video
    from stylekit.video.writer import join_segments

    video = Video(target, 200, 200, Fraction(1, 25), Fraction(25), length=50, is_animation=True)
    segment = target.with_suffix(".nut")
    join_segments([segment], video, target, end=Fraction(2), strip_metadata=False)


def sample():
    from PIL import Image
    from stylekit.training.run_folder import RunFolder

    RunFolder(target.parents[1]).save_sample(1, Image.fromarray(noise))


def curves():
    from stylekit.training.charts import save_loss_curves

    metrics = target.with_suffix(".csv")
    metrics.write_text("step,total,content,style,tv,seconds\\n" + "1,1,1,1,1,1\\n" * 5)
    save_loss_curves(metrics, target)


signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    globals()[sys.argv[3]]()
except (StylekitError, OSError) as error:
    sys.exit(f"failed: {error}")
"""

WRITERS = [
    *((f"a.{suffix}", "photo") for suffix in ("jpg", "png", "webp", "tif", "bmp", "avif", "heic")),
    ("a.gif", "animation"),
    ("a.webp", "animation"),
    ("a.nut", "video"),
    ("a.mp4", "joined"),
    ("a.mkv", "joined"),
    ("samples/000001.png", "sample"),
    ("loss.png", "curves"),
]


def write(path, limit, writer):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, path, str(limit), writer],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(("name", "writer"), WRITERS, ids=str)
def test_a_disk_that_fills_up_within_the_last_write_is_noticed_and_the_old_file_kept(tmp_path, name, writer):
    target = tmp_path / name
    if writer == "joined":
        assert write(tmp_path / "a.nut", 10**9, "video").returncode == 0
    assert write(target, 10**9, writer).returncode == 0
    whole = target.stat().st_size
    before = target.read_bytes()
    for limit in (whole - 1, whole // 2, 0 if writer != "curves" else 200):
        result = write(target, limit, writer)
        assert result.returncode == 1, f"believed with room for {limit} of {whole} bytes: {result.stderr}"
        assert result.stderr.startswith("failed: "), result.stderr
        assert target.read_bytes() == before
        assert not list(target.parent.glob(".*")), "a part is left"


def test_a_batch_on_a_full_disk_does_not_count_what_is_not_whole(tmp_path, style_path):
    random = np.random.default_rng(0)
    for number in range(3):
        noise = random.integers(0, 256, (64, 64 * (number + 1), 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
    command = [sys.executable, "-m", "stylekit", "apply", tmp_path, "--style", style_path, "--output", tmp_path / "out"]
    limited = (
        "import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, resource.RLIM_INFINITY));"
        "runpy.run_module('stylekit', run_name='__main__', alter_sys=True)"
    )
    command[1:3] = ["-c", limited]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    results = sorted((tmp_path / "out").glob("*.png"))
    for path in results:
        with Image.open(path) as image:
            image.load()
    assert result.returncode == 3, result.stderr
    assert 3 - len(results) == result.stderr.count("File too large")


@pytest.fixture
def full_disk(monkeypatch):
    """Fill the disk up after some writes; give how many were tried."""
    tried: Counter[str] = Counter()
    flush = stylekit.system.files.flush_to_disk

    def fill_up(room, *kinds):
        def flush_while_there_is_room(path):
            if not path.is_dir() and (not kinds or path.suffix in kinds):
                tried["writes"] += 1
                if tried["writes"] > room:
                    raise OSError(errno.ENOSPC, "No space left on device")
            flush(path)

        for module in ("stylekit.system.files", "stylekit.video.writer"):
            monkeypatch.setattr(f"{module}.flush_to_disk", flush_while_there_is_room)
        return tried

    return fill_up


@pytest.fixture
def photos(tmp_path, make_photo):
    (tmp_path / "photos").mkdir()
    for number in range(12):
        make_photo(40, 30, seed=number).save(tmp_path / "photos" / f"{number:02}.jpg")
    return tmp_path / "photos"


def test_a_full_disk_ends_a_batch(photos, style_path, tmp_path, stylekit, full_disk):
    tried = full_disk(3, ".jpg")
    report = tmp_path / "report.jsonl"
    code, out, errors = stylekit("apply", photos, "-s", style_path, "-o", tmp_path / "out", "--report", report)
    assert code == 1
    assert len(out.splitlines()) == 3 == len(list((tmp_path / "out").iterdir()))
    assert tried["writes"] < 10
    counts, resume, error, hint = errors.splitlines()
    assert counts.startswith("3 done in ")
    assert resume == "3 of 12 done; run the same command again to resume."
    assert error.startswith("error: Cannot write ")
    assert error.endswith("No space left on device.")
    assert hint.startswith("hint: Free some disk space")
    assert [json.loads(line)["status"] for line in report.read_text().splitlines()] == ["done"] * 3


def test_the_json_document_has_what_was_done_before_the_disk_was_full(
    photos, style_path, tmp_path, stylekit, full_disk
):
    full_disk(3, ".jpg")
    code, out, _ = stylekit("apply", photos, "-s", style_path, "-o", tmp_path / "out", "--json")
    document = json.loads(out)
    assert (code, document["done"], len(document["files"])) == (1, 3, 3)
    assert "No space left" in document["error"]["message"]


def test_python_gets_what_was_done_before_the_disk_was_full(photos, style_path, tmp_path, full_disk):
    full_disk(3, ".jpg")
    report = apply_styles(photos, tmp_path / "out", style_path)
    assert (report.count("done"), report.count("failed"), type(report.error)) == (3, 0, ImageError)
    assert apply_styles(photos, tmp_path / "out", style_path, dry_run=True).error is None


def test_a_full_disk_is_the_error_of_a_single_photo(photos, style_path, tmp_path, stylekit, full_disk):
    full_disk(0)
    code, _, errors = stylekit("apply", photos / "00.jpg", "-s", style_path)
    assert code == 1
    assert len(errors.splitlines()) == 2
    with pytest.raises(ImageError, match="No space left"):
        apply_styles(photos / "00.jpg", tmp_path / "out", style_path)


def test_a_full_disk_ends_a_batch_at_a_video(photos, style_path, tmp_path, full_disk):
    pytest.importorskip("av")
    write_video(photos / "05a.mp4", [frame(number) for number in range(5)])
    full_disk(0, ".mp4", ".nut")
    report = apply_styles(photos, tmp_path / "out", style_path)
    assert (report.count("done"), report.count("failed"), type(report.error)) == (6, 0, ImageError)


def test_a_file_that_is_too_large_for_the_file_system_fails_alone(photos, style_path, tmp_path, monkeypatch):
    flush = stylekit.system.files.flush_to_disk

    def too_large(path):
        if ".03" in path.name:
            raise OSError(errno.EFBIG, "File too large")
        flush(path)

    monkeypatch.setattr("stylekit.system.files.flush_to_disk", too_large)
    report = apply_styles(photos, tmp_path / "out", style_path)
    assert (report.count("done"), report.count("failed"), report.error) == (11, 1, None)
