"""Formats of videos: every suffix of theirs is read, and damaged files get a hint that fits."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stylekit.errors import ImageError
from stylekit.video.formats import VIDEO_SUFFIXES, video_suffix
from stylekit.video.reader import probe_video
from tests.video.test_paint import difference, paint
from tests.video_material import frames_of, photo, write_video

av = pytest.importorskip("av")

SUFFIXES = {  # muxer, encoder and size
    "3g2": ("3g2", "libx264", (64, 48)),
    "3gp": ("3gp", "libx264", (64, 48)),
    "asf": ("asf", "wmv2", (64, 48)),
    "divx": ("avi", "mpeg4", (64, 48)),
    "dv": ("dv", "dvvideo", (720, 576)),
    "f4v": ("f4v", "libx264", (64, 48)),
    "m2t": ("mpegts", "mpeg2video", (64, 48)),
    "m2ts": ("mpegts", "libx264", (64, 48)),
    "mod": ("mpeg", "mpeg2video", (64, 48)),
    "mpe": ("mpeg", "mpeg1video", (64, 48)),
    "mxf": ("mxf", "mpeg2video", (64, 48)),
    "nut": ("nut", "ffv1", (64, 48)),
    "ogm": ("ogg", "libvpx", (64, 48)),
    "ogv": ("ogg", "libvpx", (64, 48)),
    "qt": ("mov", "libx264", (64, 48)),
    "rm": ("rm", "rv10", (176, 144)),
    "tod": ("mpegts", "mpeg2video", (64, 48)),
    "ts": ("mpegts", "libx264", (64, 48)),
    "vob": ("vob", "mpeg2video", (64, 48)),
    "wmv": ("asf", "wmv2", (64, 48)),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_of_videos_is_read(tmp_path, suffix):
    muxer, encoder, size = SUFFIXES[suffix]
    path = tmp_path / f"a.{suffix}"
    assert path.suffix in VIDEO_SUFFIXES
    assert video_suffix(path) == (".mov" if suffix.startswith("3g") else ".mkv")
    try:
        with av.open(str(path), "w", muxer) as container:
            stream = container.add_stream(encoder, rate=25, options={"b": "2000000"})
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            for number in range(10):
                frame = av.VideoFrame.from_ndarray(photo(number, size), "rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"FFmpeg cannot write it: {error}")
    report = paint(path, tmp_path / "b.mkv", steady=0)
    assert (report.frames, report.notes) == (10, ())
    assert difference(frames_of(tmp_path / "b.mkv")[1][8], photo(8, size)) < 10


def refusal(path: Path) -> ImageError:
    with pytest.raises(ImageError) as caught:
        probe_video(path, start=0, end=None, max_size=None, max_pixels=10**6)
    return caught.value


def test_a_truncated_mp4_is_called_truncated(tmp_path):
    video = write_video(tmp_path / "a.mp4", [photo(number) for number in range(20)])
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    error = refusal(video)
    assert str(error) == "a.mp4 is not a readable video."
    assert error.hint.startswith("It is truncated: its index, which comes last, is missing.")


def test_a_file_of_another_kind_is_not_called_truncated(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n")
    error = refusal(path)
    assert "a.mp4 is not a readable video" in str(error)
    assert "truncated" not in error.hint


def test_an_avi_that_was_cut_short_is_painted_as_far_as_it_goes_with_a_note(tmp_path):
    path = tmp_path / "a.avi"
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(100):
            noise = random.integers(0, 255, (48, 64, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(noise, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    report = paint(path, tmp_path / "b.mkv", steady=0)
    assert 40 < report.frames < 60
    assert "before the file says they should: is it truncated?" in report.notes[-1]
