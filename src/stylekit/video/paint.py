"""Apply a style to a video: paint its frames without flicker, and keep its sound."""

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
from stylekit.images.pixels import Pixels, reduced_size
from stylekit.stylization.style import Style
from stylekit.video.animations import animation_frames, probe_animation, write_animation
from stylekit.video.conversion import even_size
from stylekit.video.copies import find_copied_streams
from stylekit.video.formats import ALPHA_MUXERS, ANIMATION_SUFFIXES, VIDEO_CODECS, VIDEO_FORMATS, video_codec
from stylekit.video.frames import Frame, Video, at_rate, trim, until_next
from stylekit.video.pipeline import PaintedFrame, paint_frames, require_frames
from stylekit.video.reader import probe_video, video_frames
from stylekit.video.segments import PaintState, Segments
from stylekit.video.writer import join_segments, write_segment

_SEGMENT_SECONDS = 5  # of video in a segment, which is about what an interruption costs
_TOLERATED_GAP = 1.0  # seconds by which the last frame may end before the video does
# The settings that change the result; others may differ when an interrupted run resumes.
_SETTINGS = ("max_size", "stroke_size", "strength", "keep_colors", "steady", "codec", "crf", "fps", "start", "end")

_LARGEST_ASPECT = 8  # of pixels; larger ones are taken for damage

_Paint = Callable[[PaintState], Generator[PaintedFrame]]


@dataclass(frozen=True)
class VideoReport:
    """The progress or result of painting a video.

    Attributes:
        source: The video.
        frames: The number of painted frames.
        length: The approximate number of frames; 0 if unknown.
        width: The width of the result in pixels.
        height: The height of the result in pixels.
        seconds: The time spent in this run so far.
        notes: Notes for the user; empty until the video is finished.
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

    A video is painted in segments of a few seconds, which are stored beside the result until it is finished. After an
    interruption, the same call resumes. An animated GIF or WebP is painted in one go. The caller must hold the lock on
    the result; see `locks.locked`.

    Args:
        source: A video, or an animated GIF or WebP.
        output: The file to write; its suffix sets the format.
        style: The style.
        config: The settings.
        style_key: Text that identifies the style's weights, so that no run resumes with different weights.
        recipe: The recipe by which the result is painted, as JSON, for its metadata unless that is stripped.
        on_frame: Called after each frame.

    Raises:
        ConfigError: If the format cannot hold the codec in the settings.
        ImageError: If the video cannot be read, or the result cannot be written.
        OutOfMemory: If the device has too little memory.
    """
    video = _fitted(probe(source, config), output, config)
    result = _result(video, config)
    started = time.monotonic()

    def report(state: PaintState, notes: tuple[str, ...] = ()) -> VideoReport:
        seconds = time.monotonic() - started
        return VideoReport(source, state.frames, result.length, result.width, result.height, seconds, notes)

    def paint(state: PaintState) -> Generator[PaintedFrame]:
        frames = _frames_after(state, video, result)
        if not state.frames:
            frames = require_frames(frames, source.name)
        return paint_frames(frames, style, config, state, on_frame=lambda state: on_frame(report(state)))

    notes: tuple[str, ...] = ()
    if output.suffix.lower() in ANIMATION_SUFFIXES:
        state, notes = _write_animation(paint, output, result, config, recipe)
    else:
        segments = Segments(output, _key(source, style_key, config))
        state, notes = _write_video(paint, segments, output, video, result, config, recipe)
    return report(state, (*_notes(state, video, result, output, config), *notes))


def probe(source: Path, config: ApplyConfig) -> Video:
    """Read the properties of a video, or of an animated GIF or WebP.

    Raises:
        ImageError: If it cannot be read.
    """
    probe = probe_animation if source.suffix.lower() in ANIMATION_SUFFIXES else probe_video
    return probe(source, start=config.start, end=config.end, max_size=config.max_size, max_pixels=config.max_pixels)


def _fitted(video: Video, output: Path, config: ApplyConfig) -> Video:
    """Return a video whose frames are read at a size that its result can have.

    Animations and VP9 cannot declare a pixel aspect ratio, so their frames get square pixels; videos need an even
    number of rows and columns.
    """
    if video.is_animation:
        return video
    width, height, aspect = video.width, video.height, video.aspect
    is_animation = output.suffix.lower() in ANIMATION_SUFFIXES
    if is_animation or video_codec(output, config.codec) == "vp9":
        if 1 / _LARGEST_ASPECT <= aspect <= _LARGEST_ASPECT:
            width, height = round(width * max(aspect, Fraction(1))), round(height / min(aspect, Fraction(1)))
            width, height = reduced_size((width, height), config.max_size)
        aspect = Fraction(1)
    if not is_animation:
        width, height = even_size(width, height)
    return dataclasses.replace(video, width=width, height=height, aspect=aspect)


def _result(video: Video, config: ApplyConfig) -> Video:
    """Return a video with the length, rate and time base of its result."""
    if config.fps is None:
        return video
    rate = Fraction(config.fps).limit_denominator(1001)
    length = round(video.length * rate / video.rate)
    return dataclasses.replace(video, time_base=1 / rate, rate=rate, length=length)


def _frames(video: Video, result: Video, since: int | None = None) -> Iterator[Frame]:
    """Yield the frames to paint, at the times of the result; see `reader.video_frames`."""
    decoded = animation_frames(video) if video.is_animation else video_frames(video, since)
    frames = trim(until_next(decoded), video)
    return frames if result is video else at_rate(frames, video.time_base, result.rate)


def _frames_after(state: PaintState, video: Video, result: Video) -> Iterator[Frame]:
    """Yield the frames that are not painted yet.

    After an interruption, the video is decoded from the last keyframe before them. If that does not yield the frame
    that was painted last, with the same pixels, the video is decoded from the start instead.
    """
    if state.origin is not None and not video.is_animation:
        time, checksum = state.origin
        resumed = _frames(video, result, since=time * result.time_base // video.time_base)
        first = next(resumed, None)
        if first is not None and (first.time, first.without_pixels().checksum) == (time, checksum):
            yield from (frame for frame in resumed if frame.time >= state.end)
            return
    for frame in _frames(video, result):
        if not state.frames or frame.time >= state.end:
            yield frame


def _notes(state: PaintState, video: Video, result: Video, output: Path, config: ApplyConfig) -> Iterator[str]:
    """Yield notes on what the result has lost, on corrupt frames, and on a video that ends early."""
    if video.colors.is_hdr:
        yield "HDR tone-mapped to BT.709"
    if state.transparent and not _keeps_alpha(video, output, config):
        yield "transparency laid on white: only VP9 in .webm and .mkv, .gif and .webp can hold it"
    if video.jumps:
        yield "the clock of the file jumps, and was mended"
    if state.broken:
        frames = "frame" if state.broken == 1 else "frames"
        yield f"{state.broken} corrupt {frames}: the previous frame is shown instead"
    gap = video.seconds - float(state.end * result.time_base)
    if gap > _TOLERATED_GAP:
        yield f"the frames end {gap:.1f} seconds before the file says they should: is it truncated?"


def _write_animation(
    paint: _Paint, output: Path, result: Video, config: ApplyConfig, recipe: str | None
) -> tuple[PaintState, tuple[str, ...]]:
    """Paint and write an animated GIF or WebP.

    Returns:
        The state after the last frame, and notes.
    """
    state = PaintState()

    def frames() -> Iterator[tuple[Fraction, Pixels, Pixels | None]]:
        nonlocal state
        with closing(paint(state)) as painted_frames:
            for painted in painted_frames:
                state = painted.state
                yield state.end * result.time_base, painted.image, painted.alpha

    recipe = None if config.strip_metadata else recipe
    notes = write_animation(frames(), output, result, quality=config.quality, recipe=recipe, overwrite=config.overwrite)
    return state, notes


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
    keeps_alpha = _keeps_alpha(video, output, config)
    crf = VIDEO_CODECS[codec].crf if config.crf is None else config.crf
    copied_streams, notes = find_copied_streams(video, output)
    if segments.is_corrupt:
        notes = ("the frames painted before the interruption were corrupt, and were painted again", *notes)

    def write(painted_frames: Iterable[PaintedFrame], path: Path) -> PaintState:
        state = PaintState()

        def frames() -> Iterator[tuple[int, Pixels, Pixels | None]]:
            nonlocal state
            for painted in painted_frames:
                state = painted.state
                yield painted.time, painted.image if keeps_alpha else _opaque(painted), painted.alpha

        write_segment(frames(), path, result, codec=codec, crf=crf, keeps_alpha=keeps_alpha)
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


def _keeps_alpha(video: Video, output: Path, config: ApplyConfig) -> bool:
    """Return whether a result keeps the alpha of its frames."""
    suffix = output.suffix.lower()
    if suffix in ANIMATION_SUFFIXES:
        return True
    is_possible = VIDEO_FORMATS[suffix].muxer in ALPHA_MUXERS and video_codec(output, config.codec) == "vp9"
    return is_possible and video.has_alpha


def _opaque(painted: PaintedFrame) -> Pixels:
    """Return a frame's image on white."""
    if painted.alpha is None:
        return painted.image
    image = Image.fromarray(painted.image)
    image.putalpha(Image.fromarray(painted.alpha))
    return np.asarray(on_white(image))


def _key(source: Path, style_key: str, config: ApplyConfig) -> str:
    """Return hexadecimal digits that identify everything on which the result depends."""
    file = source.stat()
    settings = {name: getattr(config, name) for name in _SETTINGS}
    parts = [__version__, os.path.realpath(source), file.st_size, file.st_mtime_ns, style_key, settings]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
