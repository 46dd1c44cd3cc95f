"""A style applied to a video: its frames painted without flicker, its sound kept."""

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np
from PIL import Image

from stylekit._version import __version__
from stylekit.config.apply import ApplyConfig
from stylekit.images.colors import on_white
from stylekit.images.pixels import Pixels
from stylekit.stylization.style import Style
from stylekit.video.animations import animation_frames, probe_animation, write_animation
from stylekit.video.formats import ANIMATION_SUFFIXES, VIDEO_CODECS, video_codec
from stylekit.video.frames import Frame, Video, at_rate, trim, until_next
from stylekit.video.pipeline import PaintedFrame, paint_frames, require_frames
from stylekit.video.reader import probe_video, video_frames
from stylekit.video.segments import PaintState, Segments
from stylekit.video.writer import find_copied_streams, join_segments, write_segment

_SEGMENT_SECONDS = 5  # of the video: about what an interruption costs
_TOLERATED_GAP = 1.0  # seconds by which frames may end before the video does
# The settings that the result depends on; others may change before an interrupted painting resumes.
_SETTINGS = ("max_size", "stroke_size", "strength", "keep_colors", "steady", "codec", "crf", "fps", "start", "end")

_Paint = Callable[[PaintState], Generator[PaintedFrame]]


@dataclass(frozen=True)
class VideoReport:
    """The progress or result of painting a video.

    Attributes:
        source: The video.
        frames: The number of painted frames.
        length: About how many frames there are; 0 if the file does not say.
        width: Of the result, in pixels.
        height: Of the result, in pixels.
        seconds: The time spent in this run so far.
        notes: What the user may want to know; empty until the video is finished.
    """

    source: Path
    frames: int
    length: int
    width: int
    height: int
    seconds: float
    notes: tuple[str, ...] = ()


def paint_video(
    source: Path,
    output: Path,
    style: Style,
    config: ApplyConfig,
    *,
    style_key: str = "",
    recipe: str | None = None,
    on_frame: Callable[[VideoReport], None] = lambda report: None,
) -> VideoReport:
    """Apply a style to a video.

    A video is painted in segments of some seconds, which are stored beside the result until it is finished: painting
    the same again after an interruption resumes. An animated GIF or WebP is painted in one go. The caller must hold the
    lock on the result; see `locks.locked`.

    Args:
        source: A video, or an animated GIF or WebP.
        output: The file to write; its suffix sets the format.
        style: The style.
        config: The settings.
        style_key: Identifies the style's weights, so that a painting does not resume with others.
        recipe: How the result is painted, as JSON, to be kept in its metadata unless those are stripped.
        on_frame: Called after each frame.

    Raises:
        ConfigError: If the format cannot hold the codec in the settings.
        ImageError: If the video cannot be read, or the result cannot be written.
        OutOfMemory: If the device has too little memory.
    """
    video = probe(source, config)
    frames, result = _frames(video, config)
    started = time.monotonic()

    def report(state: PaintState, notes: tuple[str, ...] = ()) -> VideoReport:
        seconds = time.monotonic() - started
        return VideoReport(source, state.frames, result.length, result.width, result.height, seconds, notes)

    def paint(state: PaintState) -> Generator[PaintedFrame]:
        some = require_frames(frames, source.name)
        return paint_frames(some, style, config, state, on_frame=lambda state: on_frame(report(state)))

    notes: tuple[str, ...] = ()
    if output.suffix.lower() in ANIMATION_SUFFIXES:
        state = _write_animation(paint, output, result, config, recipe)
    else:
        segments = Segments(output, _key(source, style_key, config))
        state, notes = _write_video(paint, segments, output, video, result, config, recipe)
    return report(state, (*_notes(state, video, result), *notes))


def probe(source: Path, config: ApplyConfig) -> Video:
    """Read what a video, or an animated GIF or WebP, says about itself.

    Raises:
        ImageError: If it cannot be read.
    """
    probe = probe_animation if source.suffix.lower() in ANIMATION_SUFFIXES else probe_video
    return probe(source, start=config.start, end=config.end, max_size=config.max_size, max_pixels=config.max_pixels)


def _frames(video: Video, config: ApplyConfig) -> tuple[Iterator[Frame], Video]:
    """Return the frames to paint, and the video with the length, rate and time base of the result."""
    read = animation_frames if video.is_animation else video_frames
    frames = trim(until_next(read(video)), video)
    if config.fps is None:
        return frames, video
    rate = Fraction(config.fps).limit_denominator(1001)
    length = round(video.length * rate / video.rate)
    result = dataclasses.replace(video, time_base=1 / rate, rate=rate, length=length)
    return at_rate(frames, video.time_base, rate), result


def _notes(state: PaintState, video: Video, result: Video) -> Iterator[str]:
    """Yield what was missing in a video."""
    if state.broken:
        frames = "frame" if state.broken == 1 else "frames"
        yield f"{state.broken} corrupt {frames}: the previous frame is shown instead"
    gap = video.seconds - float(state.end * result.time_base)
    if gap > _TOLERATED_GAP:
        yield f"the frames end {gap:.1f} seconds before the file says they should: is it truncated?"


def _write_animation(paint: _Paint, output: Path, result: Video, config: ApplyConfig, recipe: str | None) -> PaintState:
    """Paint and write an animated GIF or WebP, and return the state after it."""
    state = PaintState()

    def frames() -> Iterator[tuple[Fraction, Pixels, Pixels | None]]:
        nonlocal state
        with closing(paint(state)) as painted_frames:
            for painted in painted_frames:
                state = painted.state
                yield state.end * result.time_base, painted.image, painted.alpha

    recipe = None if config.strip_metadata else recipe
    write_animation(frames(), output, result, quality=config.quality, recipe=recipe, overwrite=config.overwrite)
    return state


def _write_video(
    paint: _Paint,
    segments: Segments,
    output: Path,
    video: Video,
    result: Video,
    config: ApplyConfig,
    recipe: str | None,
) -> tuple[PaintState, tuple[str, ...]]:
    """Paint the segments that are missing, and join them with the video's sound and subtitles.

    Returns:
        The state after the last frame, and notes.
    """
    codec = video_codec(output, config.codec)
    crf = VIDEO_CODECS[codec].crf if config.crf is None else config.crf
    copied_streams, notes = find_copied_streams(video, output)
    if segments.is_corrupt:
        notes = ("the frames painted before the interruption were corrupt, and were painted again", *notes)

    def write(painted_frames: Iterable[PaintedFrame], path: Path) -> PaintState:
        state = PaintState()

        def frames() -> Iterator[tuple[int, Pixels]]:
            nonlocal state
            for painted in painted_frames:
                state = painted.state
                yield painted.time, _opaque(painted)

        write_segment(frames(), path, result, codec=codec, crf=crf)
        return state

    longest = max(1, round(_SEGMENT_SECONDS * result.rate))
    with closing(paint(segments.state)) as painted_frames:
        for first in painted_frames:
            segments.add(partial(write, chain([first], islice(painted_frames, longest - 1))))
    join_segments(
        segments.paths,
        video,
        output,
        copied_streams=copied_streams,
        end=segments.state.end * result.time_base,
        strip_metadata=config.strip_metadata,
        recipe=recipe,
        overwrite=config.overwrite,
    )
    segments.clear()
    return segments.state, notes


def _opaque(painted: PaintedFrame) -> Pixels:
    """Return a frame's image on white, because videos have no transparency."""
    if painted.alpha is None:
        return painted.image
    image = Image.fromarray(painted.image)
    image.putalpha(Image.fromarray(painted.alpha))
    return np.asarray(on_white(image))


def _key(source: Path, style_key: str, config: ApplyConfig) -> str:
    """Return hexadecimal digits that identify everything the result depends on."""
    file = source.stat()
    settings = {name: getattr(config, name) for name in _SETTINGS}
    parts = [__version__, os.path.realpath(source), file.st_size, file.st_mtime_ns, style_key, settings]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
