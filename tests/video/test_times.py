"""The times of frames, for any sequence of times: they stay in order and within the part, and add up to its length."""

from fractions import Fraction
from itertools import pairwise
from math import ceil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from stylekit.config.apply import ApplyConfig
from stylekit.video.animations import animation_frames, probe_animation, write_animation
from stylekit.video.frames import Frame, Video, at_rate, trim, until_next
from stylekit.video.paint import _frames_after, _result
from stylekit.video.segments import PaintState, Segments

quick = settings(
    derandomize=True, deadline=None, max_examples=30, database=None, suppress_health_check=[HealthCheck.too_slow]
)

GRAY = np.zeros((2, 2, 3), np.uint8)
TIME_BASES = [Fraction(1, 1000), Fraction(1, 25), Fraction(1001, 30000), Fraction(1, 90000)]


def shades(count):
    """Return different images, which no encoder merges."""
    return [np.full((2, 2, 3), 40 * (number % 6), np.uint8) for number in range(count)]


@st.composite
def frame_lists(draw):
    """Frames at any increasing times, the first of which can be decoded; their own durations may be wrong."""
    start = draw(st.integers(-50, 50))
    gaps = draw(st.lists(st.integers(1, 100), max_size=12))
    times = [start]
    for gap in gaps:
        times.append(times[-1] + gap)
    durations = draw(st.lists(st.integers(1, 200), min_size=len(times), max_size=len(times)))
    broken = [False, *draw(st.lists(st.booleans(), min_size=len(gaps), max_size=len(gaps)))]
    return [
        Frame(time, duration, None if is_broken else image, is_broken=is_broken)
        for time, duration, is_broken, image in zip(times, durations, broken, shades(len(times)), strict=True)
    ]


def part(path, begin=None, end=None, time_base=TIME_BASES[0]):
    """Return a video whose frames' times count from where its part begins."""
    return Video(path, 2, 2, time_base, 1 / time_base, begin=begin, end=end, shift=begin or 0)


def check_contiguous(frames):
    """Check that each frame lasts until the next one, and at least one unit of time."""
    assert all(frame.duration > 0 for frame in frames)
    assert all(before.time + before.duration == after.time for before, after in pairwise(frames))


@quick
@given(frame_lists())
def test_each_frame_lasts_until_the_next_one(frames):
    timed = list(until_next(frames))
    check_contiguous(timed)
    assert [frame.time for frame in timed] == [frame.time for frame in frames]
    assert timed[-1] == frames[-1]


@quick
@given(frame_lists(), st.integers(0, 300), st.none() | st.integers(1, 300))
def test_a_part_has_the_frames_on_screen_within_it(frames, begin, length):
    timed = list(until_next(frames))
    end = None if length is None else begin + length
    shifted = [Frame(f.time - begin, f.duration, f.pixels, is_broken=f.is_broken) for f in timed]
    trimmed = list(trim(shifted, part(None, begin, end)))
    first, last = timed[0].time, timed[-1].time + timed[-1].duration
    shown_from, shown_until = max(first, begin), last if end is None else min(last, end)
    assert sum(frame.duration for frame in trimmed) == max(0, shown_until - shown_from)
    check_contiguous(trimmed)
    if trimmed:
        assert trimmed[0].time == shown_from - begin
        assert trimmed[0].pixels is not None


@quick
@given(frame_lists(), st.sampled_from(TIME_BASES), st.fractions(1, 1000, max_denominator=1001))
def test_at_a_constant_rate_every_frame_lasts_one_unit(frames, time_base, rate):
    timed = list(until_next(frames))
    shown = list(at_rate(timed, time_base, rate))
    first, last = (ceil(time * time_base * rate) for time in (timed[0].time, timed[-1].time + timed[-1].duration))
    assert [frame.time for frame in shown] == list(range(first, last))
    assert {frame.duration for frame in shown} <= {1}
    for frame in shown:
        on_screen = [f for f in timed if f.pixels is not None and f.time * time_base * rate <= frame.time][-1]
        assert frame.pixels is None or frame.pixels is on_screen.pixels


@quick
@given(
    frame_lists(),
    st.sampled_from(TIME_BASES),
    st.none() | st.floats(1, 1000),
    st.integers(0, 60),
    st.integers(1, 40),
)
def test_any_interruption_resumes_with_the_same_frames(tmp_path_factory, frames, time_base, fps, begin, painted):
    """Frames are read again from any keyframe that is not after the frame that was painted last."""
    video = part(tmp_path_factory.getbasetemp() / "a.mp4", begin, None, time_base)
    result = _result(video, ApplyConfig(fps=fps))
    since = None

    def read(_, time=None):
        nonlocal since
        since = time
        shifted = [Frame(f.time - begin, f.duration, f.pixels, is_broken=f.is_broken) for f in frames]
        decodable = [f for f in shifted if f.pixels is not None and f.time <= (time or 0)]
        yield from shifted if time is None else [f for f in shifted if f.time >= decodable[-1].time]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stylekit.video.paint.video_frames", read)
        whole = list(_frames_after(PaintState(), video, result))[:2000]
        state = PaintState()
        for frame in whole[:painted]:
            origin = state.origin if frame.pixels is None else (frame.time, frame.without_pixels().checksum or 0)
            state = PaintState(frames=state.frames + 1, end=frame.time + frame.duration, origin=origin)
        rest = [frame for _, frame in zip(range(2000), _frames_after(state, video, result), strict=False)]
    assert rest[: len(whole) - state.frames] == whole[state.frames :]
    assert (since is not None) == bool(whole)  # never from the start


@quick
@given(
    st.lists(st.fractions(Fraction(1, 500), 3, max_denominator=1001), min_size=2, max_size=8),
    st.sampled_from([".gif", ".webp"]),
)
def test_animations_are_as_long_as_their_frames_together(tmp_path_factory, durations, suffix):
    path = tmp_path_factory.getbasetemp() / f"times{suffix}"
    step, shortest = (10, 20) if suffix == ".gif" else (1, 1)
    ends = [sum(durations[: number + 1]) for number in range(len(durations))]
    frames = [(end, image, None) for end, image in zip(ends, shades(len(ends)), strict=True)]
    write_animation(frames, path, part(path), quality=50)
    with Image.open(path) as image:
        written = []
        for frame in ImageSequence.Iterator(image):
            frame.load()
            written.append(frame.info["duration"])
    assert min(written) >= shortest
    assert abs(sum(written) - max(shortest, 1000 * ends[-1])) <= step / 2


@pytest.mark.parametrize(("rate", "suffix", "kept"), [(120, ".gif", 50), (60, ".gif", 40), (120, ".webp", 120)])
def test_no_frame_of_a_fast_video_coincides_with_another(tmp_path, rate, suffix, kept):
    path = tmp_path / f"fast{suffix}"
    frames = [(Fraction(number + 1, rate), image, None) for number, image in enumerate(shades(rate))]
    notes = write_animation(frames, path, part(path), quality=50)
    video = probe_animation(path, start=0, end=None, max_size=None, max_pixels=100)
    durations = [frame.duration for frame in animation_frames(video)]
    assert (len(durations), sum(durations)) == (kept, 1000)
    most = f"{rate - kept} of {rate} frames dropped: GIF animations show at most 50 per second"
    assert notes == (() if kept == rate else (most,))


@pytest.mark.parametrize(("hundredths", "shown"), [(0, 100), (1, 100), (2, 20), (3, 30)])
def test_a_gif_is_read_as_fast_as_browsers_show_it(tmp_path, hundredths, shown):
    first, *others = map(Image.fromarray, shades(3))
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=10 * hundredths)
    video = probe_animation(tmp_path / "a.gif", start=0, end=None, max_size=None, max_pixels=100)
    assert [frame.duration for frame in animation_frames(video)] == [shown] * 3
    assert video.rate == Fraction(1000, shown)


@quick
@given(st.lists(st.tuples(st.integers(1, 200), st.integers(-(2**40), 2**40)), min_size=1, max_size=5))
def test_a_state_is_stored_exactly(tmp_path_factory, added):
    output = tmp_path_factory.mktemp("stored") / "a.mp4"
    segments = Segments(output, "0123")
    frames = 0
    for count, end in added:
        frames += count
        state = PaintState(GRAY, frames=frames, broken=count, end=end, origin=(end - 1, count), alpha=GRAY[..., 0])

        def write(path, state=state):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"a segment")
            return state

        segments.add(write)
    again = Segments(output, "0123")
    assert (again.paths, again.is_corrupt) == (segments.paths, False)
    numbers = ("frames", "broken", "end", "origin")
    assert [getattr(again.state, name) for name in numbers] == [getattr(segments.state, name) for name in numbers]
    assert again.state.image is not None
    assert np.array_equal(again.state.image, GRAY)
    assert again.state.reference is None
