"""Interrupted videos: the rest is decoded from a keyframe near it, and painted as without an interruption."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from stylekit.config.apply import ApplyConfig
from stylekit.styles.style_file import StyleMetadata
from stylekit.stylization.style import Style
from stylekit.video import reader as video_reader
from stylekit.video.conversion import Converter
from stylekit.video.decoding import decode_frames
from stylekit.video.frames import until_next
from stylekit.video.paint import paint_video
from stylekit.video.reader import probe_video, video_frames
from stylekit.video.segments import PaintState, Segments
from tests.fake_engine import FakeEngine
from tests.video_material import frames_of, photo

av = pytest.importorskip("av")

FRAMES = 40
GOP = "keyint=10:min-keyint=10:scenecut=0"
ORDERED = f"{GOP}:bframes=0"
REORDERED = f"{GOP}:bframes=3"
OPEN_GOP = f"{GOP}:bframes=3:open-gop=1"  # frames after a keyframe depend on frames before it
INTRA_REFRESH = f"{GOP}:bframes=0:intra-refresh=1"  # without a frame that can be decoded alone


class Negative(FakeEngine):
    """An engine that inverts its input, and counts the runs."""

    def __init__(self):
        self.painted = 0

    def run(self, images):
        self.painted += 1
        return 1 - images


def encode(path, settings):
    """Write a video of `FRAMES` different frames with a keyframe at every tenth."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", "x264-params": settings})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(photo(number), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def paint(source, output, *, stop_at=0, **settings):
    """Paint a video; interrupt that after a number of frames, if one is given; return how many were painted."""
    engine = Negative()
    style = Style(StyleMetadata(name="negative", network="fast"), engine)

    def stop(report):
        if report.frames == stop_at:
            raise KeyboardInterrupt

    config = ApplyConfig(overwrite=True, **settings)
    if stop_at:
        with pytest.raises(KeyboardInterrupt):
            paint_video(source, output, style, config, on_frame=stop)
    else:
        paint_video(source, output, style, config)
    return engine.painted


@pytest.fixture(autouse=True)
def _short_segments(monkeypatch):
    monkeypatch.setattr("stylekit.video.paint._SEGMENT_SECONDS", 0.2)  # 5 frames at 25 per second


@pytest.fixture
def decoded(monkeypatch):
    """Count the frames that are decoded and those that are converted."""
    counts = {"decoded": 0, "converted": 0}
    decode, convert = decode_frames, Converter.read

    def counted_decode(*arguments):
        for frame in decode(*arguments):
            counts["decoded"] += 1
            yield frame

    def counted_convert(*arguments):
        counts["converted"] += 1
        return convert(*arguments)

    monkeypatch.setattr(video_reader, "decode_frames", counted_decode)
    monkeypatch.setattr(Converter, "read", counted_convert)
    return counts


@pytest.mark.parametrize(("suffix", "steady"), [("mp4", 0), ("mp4", 0.9), ("mkv", 0.9)])
def test_finished_frames_before_the_last_keyframe_are_not_decoded_again(tmp_path, suffix, steady, decoded):
    source = encode(tmp_path / f"a.{suffix}", ORDERED)
    paint(source, tmp_path / "whole.mp4", steady=steady)
    paint(source, tmp_path / "b.mp4", stop_at=32, steady=steady)
    decoded.update(decoded=0, converted=0)
    assert paint(source, tmp_path / "b.mp4", steady=steady) == 10  # six segments of five frames were finished
    assert decoded == {"decoded": 1 + 20, "converted": 11}  # the probed frame; the keyframe is the 20th
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


@pytest.mark.parametrize(
    ("suffix", "settings"),
    [
        ("mp4", REORDERED),
        ("mp4", OPEN_GOP),
        ("mp4", INTRA_REFRESH),
        ("mkv", OPEN_GOP),
        ("flv", REORDERED),
        ("avi", REORDERED),
        ("ts", REORDERED),
    ],
)
def test_a_resumed_video_is_the_same_wherever_its_keyframes_are(tmp_path, suffix, settings):
    source = encode(tmp_path / f"a.{suffix}", settings)
    paint(source, tmp_path / "whole.mp4")
    assert len(frames_of(tmp_path / "whole.mp4")[0]) == FRAMES
    for stop_at, missing in ((11, 30), (39, 5)):
        paint(source, tmp_path / "b.mp4", stop_at=stop_at)
        assert paint(source, tmp_path / "b.mp4") == missing
        assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


@pytest.mark.parametrize("settings", [{"fps": 10}, {"fps": 60}, {"start": 0.3, "end": 1.3, "fps": 40}])
def test_a_part_or_another_rate_resumes_in_the_middle_of_a_frame(tmp_path, settings, decoded):
    source = encode(tmp_path / "a.mp4", ORDERED)
    paint(source, tmp_path / "whole.mp4", **settings)
    frames = len(frames_of(tmp_path / "whole.mp4")[0])
    decoded.update(decoded=0)
    paint(source, tmp_path / "whole.mp4", **settings)
    at_once = decoded["decoded"]
    paint(source, tmp_path / "b.mp4", stop_at=frames - 2, **settings)
    decoded.update(decoded=0)
    paint(source, tmp_path / "b.mp4", **settings)
    assert decoded["decoded"] < at_once - 9
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_a_video_is_decoded_from_the_start_where_seeking_finds_another_frame(tmp_path, decoded, monkeypatch):
    source = encode(tmp_path / "a.mp4", ORDERED)
    paint(source, tmp_path / "whole.mp4")
    paint(source, tmp_path / "b.mp4", stop_at=32)
    assert list(tmp_path.glob(".*.stylekit-segments"))
    load = Segments._load_state

    def another(self):
        state = load(self)
        assert state is not None
        assert state.origin is not None
        return PaintState(**{**vars(state), "origin": (state.origin[0], state.origin[1] ^ 1)})

    monkeypatch.setattr(Segments, "_load_state", another)
    decoded.update(decoded=0)
    assert paint(source, tmp_path / "b.mp4") == 10
    assert decoded["decoded"] >= FRAMES
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_a_corrupt_frame_before_the_interruption_is_counted_once(tmp_path):
    source = encode(tmp_path / "a.mp4", ORDERED)
    with av.open(str(source)) as container:
        positions = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(source.read_bytes())
    position, size = positions[29]  # the last one of a finished segment
    data[position + 4 : position + size] = b"\xff" * (size - 4)
    source.write_bytes(data)
    paint(source, tmp_path / "whole.mp4", steady=0)
    paint(source, tmp_path / "b.mp4", steady=0, stop_at=32)
    assert paint(source, tmp_path / "b.mp4", steady=0) == 10
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


@pytest.mark.parametrize(
    ("suffix", "settings"),
    [*(("mp4", settings) for settings in (REORDERED, OPEN_GOP, INTRA_REFRESH)), ("flv", REORDERED), ("avi", REORDERED)],
)
def test_a_part_begins_with_the_frame_on_screen_wherever_the_keyframes_are(tmp_path, suffix, settings):
    source = encode(tmp_path / f"a.{suffix}", settings)
    limits: dict[str, Any] = {"end": None, "max_size": None, "max_pixels": 10_000}
    whole = probe_video(source, start=0, **limits)
    frames = list(until_next(video_frames(whole)))
    for number in (8, 9, 10, 11, 19, 21, 30, 38):  # around keyframes
        video = probe_video(source, start=number / 25 + 0.001, **limits)
        part = [np.asarray(frame.pixels) for frame in video_frames(video)]
        assert video.begin is not None
        expected = [
            np.asarray(frame.pixels) for frame in frames if frame.time + frame.duration + whole.shift > video.begin
        ]
        assert len(part) == len(expected)
        assert all(map(np.array_equal, part, expected))
