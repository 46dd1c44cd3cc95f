"""A style put on a video: its frames painted, steadily or each for itself, with its sound."""

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
from stylekit.video.frames import Video, at_rate, lasting, part
from stylekit.video.pipeline import _one_or_more, _Painted, _painted
from stylekit.video.reader import probe_video, video_frames
from stylekit.video.segments import Memory, Segments
from stylekit.video.writer import find_companions, join, write_segment

_SEGMENT_SECONDS = 5  # of the video: what is painted anew after a break
_MOST_MISSING = 1.0  # s at a video's end that are not spoken of
# Settings on which a result depends; others may change between a break and going on.
_SETTINGS = ("max_size", "stroke_size", "strength", "keep_colors", "steady", "codec", "crf", "fps", "start", "end")


@dataclass(frozen=True)
class VideoReport:
    """How the painting of a video is getting on, or what came of it.

    Attributes:
        source: the video.
        frames: how many are painted.
        length: how many there are, about; 0 where the file does not tell.
        width: of the result in pixels.
        height: likewise.
        seconds: spent so far in this run.
        notes: what a user may want to know, once it is finished.
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
    on_frame: Callable[[VideoReport], None] = lambda report: None,
) -> VideoReport:
    """Put a style on a video.

    A video is painted in segments of some seconds, which are kept beside the result until it is finished: when the same
    is to be painted after a break, it goes on where it was. An animated GIF or WebP is painted in one go. The caller
    has claim the result.

    Args:
        source: a video, or an animated GIF or WebP.
        output: the file to write; its suffix sets the format.
        style: what to paint it with.
        config: settings.
        style_key: what tells the style from others, when a broken video goes on.
        on_frame: called for each frame that is finished.

    Raises:
        ConfigError: if the format cannot hold the codec that was asked for.
        ImageError: if the video cannot be read, or the result cannot be written.
        OutOfMemory: if the device has too little memory.
    """
    video = probe(source, config)
    read = animation_frames if video.is_animation else video_frames
    frames = part(lasting(read(video)), video)
    shown = video
    if config.fps is not None:
        rate = Fraction(config.fps).limit_denominator(1001)
        frames = at_rate(frames, video.time_base, rate)
        shown = dataclasses.replace(
            video, time_base=1 / rate, rate=rate, length=round(video.length * rate / video.rate)
        )
    report = VideoReport(video.path, 0, shown.length, shown.width, shown.height, 0.0)
    began = time.monotonic()

    def count(painted: _Painted) -> None:
        nonlocal report
        seconds = time.monotonic() - began
        report = dataclasses.replace(report, frames=painted.memory.frames, seconds=seconds)
        on_frame(report)

    paint = partial(_painted, _one_or_more(frames, video.path.name), style, config, count)
    notes: tuple[str, ...] = ()
    if output.suffix.lower() in ANIMATION_SUFFIXES:
        memory = _write_animation(paint, output, shown, config)
    else:
        segments = Segments(output, _key(video.path, style_key, config))
        memory, notes = _write_video(paint, segments, output, video, shown, config)
    notes = (*_notes(memory, video, shown), *notes)
    return dataclasses.replace(report, frames=memory.frames, seconds=time.monotonic() - began, notes=notes)


def probe(source: Path, config: ApplyConfig) -> Video:
    """Look at a video, or an animated GIF or WebP.

    Raises:
        ImageError: if it cannot be read.
    """
    probe = probe_animation if source.suffix.lower() in ANIMATION_SUFFIXES else probe_video
    return probe(source, start=config.start, end=config.end, max_size=config.max_size, max_pixels=config.max_pixels)


def _notes(memory: Memory, video: Video, shown: Video) -> Iterator[str]:
    """Tell what a video lacked."""
    if memory.broken:
        frames_are = "frame" if memory.broken == 1 else "frames"
        yield f"{memory.broken} broken {frames_are}: the frame before is shown again"
    missing = video.seconds - float(memory.end * shown.time_base)
    if missing > _MOST_MISSING:
        yield f"the pictures end {missing:.1f} seconds before the video is said to: is it cut short?"


_Paint = Callable[[Memory], Generator[_Painted]]


def _write_animation(paint: _Paint, output: Path, video: Video, config: ApplyConfig) -> Memory:
    memory = Memory()

    def pictures() -> Iterator[tuple[Fraction, Pixels, Pixels | None]]:
        nonlocal memory
        with closing(paint(memory)) as frames:
            for painted in frames:
                memory = painted.memory
                yield memory.end * video.time_base, painted.picture, painted.alpha

    write_animation(pictures(), output, video, quality=config.quality, overwrite=config.overwrite)
    return memory


def _write_video(
    paint: _Paint, segments: Segments, output: Path, video: Video, shown: Video, config: ApplyConfig
) -> tuple[Memory, tuple[str, ...]]:
    codec = video_codec(output, config.codec)
    crf = VIDEO_CODECS[codec].crf if config.crf is None else config.crf
    companions, notes = find_companions(video, output)
    if segments.is_damaged:
        notes = ("what was painted before a break was damaged, and is painted anew", *notes)

    def write(frames: Iterable[_Painted], path: Path) -> Memory:
        memory = Memory()

        def pictures() -> Iterator[tuple[int, Pixels]]:
            nonlocal memory
            for painted in frames:
                memory = painted.memory
                yield painted.time, _opaque(painted)

        write_segment(pictures(), path, shown, codec=codec, crf=crf)
        return memory

    most = max(1, round(_SEGMENT_SECONDS * shown.rate))
    with closing(paint(segments.memory)) as frames:
        for first in frames:
            segments.add(partial(write, chain([first], islice(frames, most - 1))))
    end = segments.memory.end * shown.time_base
    join(
        segments.paths,
        video,
        output,
        companions=companions,
        end=end,
        strip_metadata=config.strip_metadata,
        overwrite=config.overwrite,
    )
    segments.clear()
    return segments.memory, notes


def _opaque(painted: _Painted) -> Pixels:
    """Return a picture without transparency, which videos have none of."""
    if painted.alpha is None:
        return painted.picture
    image = Image.fromarray(painted.picture)
    image.putalpha(Image.fromarray(painted.alpha))
    return np.asarray(on_white(image))


def _key(source: Path, style_key: str, config: ApplyConfig) -> str:
    """Tell by what a video would become the same."""
    file = source.stat()
    settings = {name: getattr(config, name) for name in _SETTINGS}
    parts = [__version__, os.path.realpath(source), file.st_size, file.st_mtime_ns, style_key, settings]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
