"""Clocks that begin again or jump: no part of a joined recording is lost, and sound and video stay together."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from stylekit.video.clocks import read_clock
from stylekit.video.files import open_video
from tests.video.test_paint import difference, paint
from tests.video_material import frames_of, packets_of, photo, write_video

av = pytest.importorskip("av")

RECORDINGS = {
    "ts": ("mpegts", "libx264", "aac"),
    "mpg": ("mpeg", "mpeg2video", "mp2"),
    "vob": ("vob", "mpeg2video", "mp2"),
    "mkv": ("matroska", "libx264", "aac"),
}
LENGTH = 50


def record(path, coding, first, seconds):
    """Write a recording of two seconds, whose clock begins at the given second."""
    muxer, video_encoder, audio_encoder = coding
    with av.open(str(path), "w", muxer) as container:
        video = container.add_stream(video_encoder, rate=25, options={"b": "4000000", "g": "10"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream(audio_encoder, rate=48000, layout="stereo")
        pieces = 0
        for number in range(LENGTH):
            frame = av.VideoFrame.from_ndarray(photo(first + number), "rgb24")
            frame.pts, frame.time_base = number + 25 * seconds, Fraction(1, 25)
            container.mux(video.encode(frame))
            while pieces * 1024 * 25 < (number + 1) * 48000:
                layout = audio.codec_context.format
                samples = np.zeros((2, 1024) if layout.is_planar else (1, 2048), "f4" if "flt" in layout.name else "i2")
                sound = av.AudioFrame.from_ndarray(samples, layout.name, "stereo")
                sound.sample_rate, sound.time_base = 48000, Fraction(1, 48000)
                sound.pts = pieces * 1024 + 48000 * seconds
                container.mux(audio.encode(sound))
                pieces += 1
        container.mux([*video.encode(None), *audio.encode(None)])
    return path.read_bytes()


def joined(tmp_path, suffix, begins):
    """Join recordings byte by byte, as `cat` does."""
    parts = [
        record(tmp_path / "part", RECORDINGS[suffix], number * LENGTH, begin) for number, begin in enumerate(begins)
    ]
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize(
    ("suffix", "begins"),
    [
        *((suffix, (0, 0)) for suffix in RECORDINGS),
        *((suffix, (0, 5000)) for suffix in ("ts", "mpg", "vob")),
        *((suffix, (5000, 0, 200)) for suffix in ("ts", "mpg")),
    ],
)
def test_every_part_of_a_joined_recording_is_painted(tmp_path, suffix, begins):
    source = joined(tmp_path, suffix, begins)
    lengths = []
    report = paint(source, tmp_path / "b.mkv", None, lambda report: lengths.append(report.length), steady=0)
    assert report.frames == len(begins) * LENGTH
    assert report.notes == ("the clock of the file jumps, and was mended",)
    assert abs(lengths[-1] - report.frames) <= 3
    times, images = frames_of(tmp_path / "b.mkv")
    assert max(after - before for before, after in pairwise(times)) < Fraction(1, 5)
    assert difference(images[-1], photo(len(begins) * LENGTH - 1)) < 8
    sound = [time for time, _ in packets_of(tmp_path / "b.mkv", "audio")]
    assert len(sound) >= len(packets_of(source, "audio")) - 2 * len(begins)  # encoders begin a little early
    assert max(after - before for before, after in pairwise(sound)) < Fraction(1, 5)
    assert abs(sound[-1] - times[-1]) < Fraction(1, 5)


def test_a_part_of_a_joined_recording_can_be_painted(tmp_path):
    source = joined(tmp_path, "ts", (0, 0))
    assert paint(source, tmp_path / "b.mp4", start=3, end=3.4, steady=0).frames in (10, 11)
    assert (
        difference(frames_of(tmp_path / "b.mp4")[1][0], photo(74)) < 8
    )  # on screen at that time, as the sound begins 21 ms earlier
    assert 0 < len(packets_of(tmp_path / "b.mp4", "audio")) < 25


def test_a_joined_recording_resumes(tmp_path, monkeypatch):
    monkeypatch.setattr("stylekit.video.paint._SEGMENT_SECONDS", 1)
    source = joined(tmp_path, "ts", (0, 0))
    paint(source, tmp_path / "whole.mp4", steady=0)

    def stop(report):
        if report.frames == 80:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint(source, tmp_path / "b.mp4", on_frame=stop, steady=0)
    paint(source, tmp_path / "b.mp4", steady=0)
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


@pytest.mark.parametrize("suffix", RECORDINGS)
def test_a_clock_that_is_right_is_left_alone(tmp_path, suffix):
    source = joined(tmp_path, suffix, (0,))
    with open_video(source) as container:
        assert read_clock(container).jumps == ()


def test_a_frame_that_is_shown_long_while_the_sound_goes_on_is_no_jump(tmp_path):
    source = write_video(
        tmp_path / "a.ts", [photo(number) for number in range(3)], times=[0, 25 * 30, 25 * 60], sound=False
    )
    with open_video(source) as container:
        silent = read_clock(container).jumps
    path = tmp_path / "b.ts"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("aac", rate=48000, layout="stereo")
        for piece in range(48 * 30):
            if piece in (0, 48 * 30 - 1):
                frame = av.VideoFrame.from_ndarray(photo(piece), "rgb24")
                frame.pts, frame.time_base = round(piece * 1024 / 48000 * 25), Fraction(1, 25)
                container.mux([*video.encode(frame)])
            sound = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
            sound.sample_rate, sound.pts, sound.time_base = 48000, piece * 1024, Fraction(1, 48000)
            container.mux(audio.encode(sound))
        container.mux([*video.encode(None), *audio.encode(None)])
    with open_video(path) as container:
        assert read_clock(container).jumps == ()
    assert len(silent) == 2  # nothing shows that such a gap is meant
