"""Read videos with PyAV."""

import dataclasses
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from fractions import Fraction
from itertools import chain, dropwhile
from pathlib import Path
from typing import TYPE_CHECKING

from stylekit.errors import ImageError
from stylekit.images.errors import RAISE_LIMIT
from stylekit.images.pixels import reduced_size
from stylekit.video.clocks import Clock, read_clock
from stylekit.video.conversion import Converter, color_coding, has_alpha, orientation
from stylekit.video.decoding import AVI, Decoded, decode_frames, is_unordered
from stylekit.video.files import load_av, open_video
from stylekit.video.frames import Frame, Video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_STRICT = {"err_detect": "explode"}  # otherwise decoders invent pixels that they cannot read
_BROADCAST_FORMATS = ("mpegts", "mpeg")  # their clocks may start at any time, and seeking overshoots keyframes
_MATROSKA = "matroska,webm"  # its duration counts from 0, not from the first frame
_DEFAULT_RATE = Fraction(25)
_SEEK_DISTANCES = (0, 20)  # seconds before a time, to look for a keyframe there: first near it, then further away

_HDR_SAMPLES = 8  # places in an HDR video at which its brightness is measured


def probe_video(path: Path, *, start: float, end: float | None, max_size: int | None, max_pixels: int) -> Video:
    """Read the properties of a video from its file and its first frame.

    Args:
        path: The file.
        start: Second at which the part to paint begins.
        end: Second at which the part ends; None means the end of the video.
        max_size: Longer side in pixels to which larger frames are reduced; None keeps their size.
        max_pixels: Frames with more pixels are rejected as decompression bombs.

    Raises:
        ImageError: If the file cannot be read, or `start` is after its end.
    """
    with open_video(path) as container:
        mended_clock = read_clock(container)
    with open_video(path) as container:
        stream = _video_stream(container, path.name, max_pixels)
        frame = _first_frame(container, stream, path.name, max_pixels)
        time_base = _time_base(stream)
        clock, first, last = _span(container, stream, mended_clock)
        if last and start >= last:
            message = f"--start must be before the end of {path.name} ({float(last):.1f} s), not {start:g} s."
            raise ImageError(message, "Choose an earlier --start.")
        stop = float(last) if end is None else min(float(last), end)
        begin = clock + round(start / time_base)
        turns, is_mirrored = orientation(frame)
        width, height = reduced_size((frame.width, frame.height), max_size)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        video = Video(
            path=path,
            width=height if turns % 2 else width,
            height=width if turns % 2 else height,
            time_base=time_base,
            rate=stream.average_rate or stream.guessed_rate or _DEFAULT_RATE,
            length=_length(stream, start, end, max(0.0, stop - max(float(first), start))),
            seconds=max(0.0, stop - start),
            begin=begin if start else None,
            end=None if end is None else clock + round(end / time_base),
            shift=begin,
            colors=color_coding(frame),
            has_alpha=has_alpha(frame.format),
            turns=turns,
            is_mirrored=is_mirrored,
            aspect=1 / aspect if turns % 2 else aspect,
            jumps=mended_clock.jumps,
            max_pixels=max_pixels,
        )
        if not video.colors.is_hdr:
            return video
        return dataclasses.replace(video, brightest=_brightest(container, stream, video, frame))


def _first_frame(container: "InputContainer", stream: "VideoStream", name: str, max_pixels: int) -> "VideoFrame":
    """Return the first frame that can be decoded, if its size is within the limit."""
    if stream.width * stream.height > max_pixels:
        size = f"{stream.width:,} × {stream.height:,}"
        raise ImageError(f"{name} has {size} pixels, over the limit of {max_pixels:,}.", RAISE_LIMIT)
    frame = next((frame for _, frame in decode_frames(container, stream) if frame is not None), None)
    if frame is None:
        raise ImageError(f"No frame of {name} can be decoded.", "Copy or download it again.")
    return frame


def _brightest(container: "InputContainer", stream: "VideoStream", video: Video, first: "VideoFrame") -> float:
    """Return the luminance of the brightest pixels in some frames of the part to paint, in cd/m².

    Measuring it once keeps the tone mapping constant, so that the brightness does not pulsate.

    Args:
        container: The video's file.
        stream: Its video stream.
        video: The video.
        first: The first frame of the file.
    """
    converter = Converter(video)
    luminances = [] if video.begin else [converter.brightest(first)]
    for sample in range(_HDR_SAMPLES):
        with suppress(load_av("").error.FFmpegError):
            seconds = video.seconds * sample / _HDR_SAMPLES
            container.seek(video.shift + round(seconds / video.time_base), stream=stream)
            frame = next((frame for _, frame in decode_frames(container, stream) if frame is not None), None)
            luminances += [] if frame is None else [converter.brightest(frame)]
    return max(luminances, default=converter.brightest(first))


def _span(container: "InputContainer", stream: "VideoStream", mended_clock: Clock) -> tuple[int, Fraction, Fraction]:
    """Return when a video begins and ends.

    Returns:
        The time of the video's clock at second 0, in units of `time_base`; the second at which the first frame begins;
        and the second at which the last one ends, 0 if unknown.
    """
    time_base = _time_base(stream)
    if mended_clock.jumps:
        return round(mended_clock.begin / time_base), Fraction(0), mended_clock.end - mended_clock.begin
    first, duration = (Fraction(time or 0, 1_000_000) for time in (container.start_time, container.duration))
    if container.format.name in _BROADCAST_FORMATS:
        return round(first / time_base), Fraction(0), duration
    if container.format.name == AVI and stream.average_rate:  # FFmpeg measures what is left of a truncated file
        duration = max(duration, stream.frames / stream.average_rate)
    if not duration or container.format.name == _MATROSKA:
        return 0, first, duration
    return 0, first, duration + max(Fraction(0), first)


def video_frames(video: Video, since: int | None = None) -> Iterator[Frame]:
    """Yield a video's frames, from the one on screen at a certain time to the end of the file.

    Args:
        video: As `probe_video` returns it.
        since: The time, in the same units as the times of frames; None means the beginning of the part to paint.

    Yields:
        The frames, starting with one that can be decoded; later ones that cannot are broken, without pixels.

    Raises:
        ImageError: If the file can no longer be read.
    """
    begin = video.begin if since is None else video.shift + since
    usual = round(1 / (video.rate * video.time_base))
    converter = Converter(video)
    with closing(_decode_from(begin, video)) as decoded:
        for time, frame in _skip_before(begin, decoded):
            duration = (frame.duration if frame is not None else 0) or usual
            pixels, alpha = (None, None) if frame is None else converter.read(frame)
            yield Frame(time - video.shift, duration, pixels, alpha, is_broken=frame is None)


def _decode_from(begin: int | None, video: Video) -> Generator[Decoded]:
    """Decode a video from a keyframe before a time, or from its start if seeking finds none.

    Seeking can end after the time: some containers sort keyframes by when they are decoded, not shown, and after some
    keyframes a decoder needs further frames before it returns one.
    """
    targets = [] if begin is None else [begin - round(distance / video.time_base) for distance in _SEEK_DISTANCES]
    for target in (*targets, None):
        with open_video(video.path) as container:
            stream = _video_stream(container, video.path.name, video.max_pixels)
            if target is not None and (video.jumps or not _seek(container, stream, target)):
                continue
            frames = dropwhile(lambda decoded: decoded[1] is None, decode_frames(container, stream, video.jumps))
            first = next(frames, None)
            if first is not None and (target is None or begin is None or first[0] <= begin):
                yield from chain([first], frames)
                return


def _seek(container: "InputContainer", stream: "VideoStream", time: int) -> bool:
    """Seek to the last keyframe before a time, and return whether that is possible in this file."""
    if container.format.name not in _BROADCAST_FORMATS and not is_unordered(container, stream):
        with suppress(load_av("").error.FFmpegError):
            container.seek(time, stream=stream)
            return True
    return False


def _skip_before(begin: int | None, frames: Iterable[Decoded]) -> Iterator[Decoded]:
    """Drop the frames that end before a time, so that they are not converted needlessly."""
    on_screen: list[Decoded] = []  # the latest frame, and a later one if it cannot be decoded
    for time, frame in frames:
        if begin is None or time > begin:
            yield from on_screen
            on_screen = []
            yield time, frame
        else:
            on_screen = [(time, frame)] if frame is not None else [*on_screen[:1], (time, None)]
    yield from on_screen


def _video_stream(container: "InputContainer", name: str, max_pixels: int) -> "VideoStream":
    """Return the first video stream, with a limit on the size of its frames; an album cover is not one."""
    av = load_av(name)
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            stream.thread_type = "AUTO"
            stream.codec_context.options = {**_STRICT, "max_pixels": str(min(max_pixels, 2**31 - 1))}
            return stream
    raise ImageError(f"{name} has no video stream.", "It may contain only sound.")


def _time_base(stream: "VideoStream") -> Fraction:
    return stream.time_base or Fraction(1, 1000)


def _length(stream: "VideoStream", start: float, end: float | None, seconds: float) -> int:
    """Return the approximate number of frames of the part to paint; 0 if unknown."""
    if stream.frames and not start and end is None:
        return stream.frames
    return round(seconds * float(stream.average_rate or stream.guessed_rate or 0))
