"""Videos read by PyAV, which the extra `[video]` installs."""

import importlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from heapq import heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stylekit.errors import ImageError
from stylekit.images.errors import RAISE_LIMIT, read_errors
from stylekit.images.pixels import Pixels, reduced_size
from stylekit.system.extras import install_hint
from stylekit.video.formats import VIDEO_SUFFIXES
from stylekit.video.frames import ColorCoding, Frame, Video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

# Only local files, and only videos: a playlist named like a video could make FFmpeg fetch anything.
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,nut"}
_STRICT = {"err_detect": "explode"}  # otherwise decoders invent what they cannot read
_BROADCAST_FORMATS = ("mpegts", "mpeg")  # their clocks start anywhere, and seeking overshoots keyframes
_MATROSKA = "matroska,webm"  # its duration counts from 0, not from the first frame
_RGB = 0  # as matrix
_SWSCALE_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}  # by their numbers in ITU-T H.273
_LARGEST_SD = 576  # rows; up to here, videos that do not declare a matrix are BT.601, as players assume
_FULL = 2  # as range
_PROGRESSIVE = (0, 1)  # as field order; 0 is unknown
_DEFAULT_RATE = Fraction(25)


def load_av(name: str) -> Any:
    """Import PyAV.

    Args:
        name: The file that needs it.

    Raises:
        ImageError: If it is not installed.
    """
    try:
        return importlib.import_module("av")
    except ImportError:
        raise ImageError(f"{name} is a video, which needs an extra.", install_hint("video")) from None


@contextmanager
def open_video(path: Path) -> Iterator["InputContainer"]:
    """Open a video file inside the block, and turn every error there into an `ImageError`."""
    av = load_av(path.name)
    with read_errors(path.name):
        if path.is_file() and not path.stat().st_size:
            raise ImageError(f"{path.name} is empty (0 bytes).", "Copy or download it again.")
        try:
            container = av.open(f"file:{path}", options=_OPTIONS, metadata_errors="replace")
        except (av.error.InvalidDataError, av.error.ArgumentError):
            hint = f"It may be truncated. Videos end in {', '.join(sorted(VIDEO_SUFFIXES))}."
            raise ImageError(f"{path.name} is not a readable video.", hint) from None
        with container:
            yield container


def probe_video(path: Path, *, start: float, end: float | None, max_size: int | None, max_pixels: int) -> Video:
    """Read what a video's file says about itself, and its first frame.

    Args:
        path: The file.
        start: Second at which the part to paint begins.
        end: Second at which it ends; None is the end of the video.
        max_size: Longer side in pixels to which larger frames are reduced; None keeps their size.
        max_pixels: Frames of more pixels are rejected as decompression bombs.

    Raises:
        ImageError: If the file cannot be read, or `start` is after its end.
    """
    with open_video(path) as container:
        stream = _video_stream(container, path.name, max_pixels)
        frame = _first_frame(container, stream, path.name, max_pixels)
        time_base = stream.time_base or Fraction(1, 1000)
        clock, first, last = _span(container, time_base)
        if last and start >= last:
            message = f"--start must be before the end of {path.name} ({float(last):.1f} s), not {start:g} s."
            raise ImageError(message, "Choose an earlier --start.")
        stop = float(last) if end is None else min(float(last), end)
        begin = clock + round(start / time_base)
        turns = round(frame.rotation / 90) % 4
        width, height = reduced_size((frame.width, frame.height), max_size)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        return Video(
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
            colors=_colors(frame),
            turns=turns,
            aspect=1 / aspect if turns % 2 else aspect,
            max_pixels=max_pixels,
        )


def _first_frame(container: "InputContainer", stream: "VideoStream", name: str, max_pixels: int) -> "VideoFrame":
    """Return the first frame that can be decoded, if its size is within the limit."""
    if stream.width * stream.height > max_pixels:
        size = f"{stream.width:,} × {stream.height:,}"
        raise ImageError(f"{name} has {size} pixels, over the limit of {max_pixels:,}.", RAISE_LIMIT)
    frame = next((frame for _, frame in _decode(container, stream) if frame is not None), None)
    if frame is None:
        raise ImageError(f"No frame of {name} can be decoded.", "Copy or download it again.")
    return frame


def _span(container: "InputContainer", time_base: Fraction) -> tuple[int, Fraction, Fraction]:
    """Return where the time of a video begins and ends.

    Returns:
        What the video's clock says at second 0, in units of `time_base`; the second of the first frame; and the second
        of the end, 0 if unknown.
    """
    first, duration = (Fraction(time or 0, 1_000_000) for time in (container.start_time, container.duration))
    if container.format.name in _BROADCAST_FORMATS:
        return round(first / time_base), Fraction(0), duration
    if not duration or container.format.name == _MATROSKA:
        return 0, first, duration
    return 0, first, duration + max(Fraction(0), first)


def video_frames(video: Video) -> Iterator[Frame]:
    """Yield a video's frames, from the one on screen when the part to paint begins to the end of the file.

    Args:
        video: As `probe_video` returns it.

    Yields:
        The frames; where one cannot be decoded, a broken one without pixels.

    Raises:
        ImageError: If the file cannot be read any more.
    """
    with open_video(video.path) as container:
        stream = _video_stream(container, video.path.name, video.max_pixels)
        if video.begin is not None and container.format.name not in _BROADCAST_FORMATS:
            container.seek(video.begin, stream=stream)
        usual = round(1 / (video.rate * video.time_base))
        reformatter = new_reformatter()
        has_begun = False  # with a frame that can be decoded
        for time, frame in _skip_before(video.begin, _decode(container, stream)):
            has_begun = has_begun or frame is not None
            if not has_begun:
                continue
            duration = (frame.duration if frame is not None else 0) or usual
            pixels = None if frame is None else _pixels(frame, video, reformatter)
            yield Frame(time - video.shift, duration, pixels, is_broken=frame is None)


def _skip_before(
    begin: int | None, frames: Iterable[tuple[int, "VideoFrame | None"]]
) -> Iterator[tuple[int, "VideoFrame | None"]]:
    """Drop the frames that are over when the part to paint begins, so that they are not converted for nothing."""
    on_screen: list[tuple[int, VideoFrame | None]] = []  # the latest frame, and a later one that cannot be decoded
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
    raise ImageError(f"{name} has no video stream.", "It may hold only sound.")


def _decode(container: "InputContainer", stream: "VideoStream") -> Iterator[tuple[int, "VideoFrame | None"]]:
    """Yield each frame with its time, in order; None in place of one that cannot be decoded.

    Decoders drop such frames late, and not always with an error. So they are noticed by their times: frames come in the
    order of their times, and one that is due has been dropped when a later one comes.
    """
    av = load_av("")
    due: list[int] = []
    last: int | None = None
    is_unordered = container.format.name == "avi" and stream.codec_context.has_b_frames
    is_progressive = stream.codec_context.field_order in _PROGRESSIVE  # otherwise two packets may hold one frame

    def dropped(until: float) -> Iterator[tuple[int, None]]:
        nonlocal last
        while due and due[0] < until:
            time = heappop(due)
            if last is not None and time > last:
                last = time
                yield time, None

    for packet in container.demux(stream):
        if is_progressive and packet.pts is not None and packet.size and not packet.is_discard:
            heappush(due, packet.pts)
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        for frame in frames:
            time = due[0] if is_unordered and due else frame.pts
            if time is None:
                time = 0 if last is None else last + 1
            yield from dropped(time)
            if due and due[0] == time:
                heappop(due)
            if last is None or time > last:
                if frame.is_corrupt and last is None:
                    continue
                last = time
                yield time, None if frame.is_corrupt else frame
    yield from dropped(float("inf"))


def _length(stream: "VideoStream", start: float, end: float | None, seconds: float) -> int:
    """Return about how many frames so many seconds have; 0 if the file does not say."""
    if stream.frames and not start and end is None:
        return stream.frames
    return round(seconds * float(stream.average_rate or stream.guessed_rate or 0))


def _colors(frame: "VideoFrame") -> ColorCoding:
    """Return how a video encodes colors: as it declares, or by its size; videos in RGB become BT.709."""
    if frame.colorspace == _RGB or frame.format.is_rgb:
        return ColorCoding(1, 1, frame.color_primaries, frame.color_trc)
    matrix = frame.colorspace
    if matrix not in _SWSCALE_MATRICES:
        matrix = 6 if frame.height <= _LARGEST_SD else 1
    is_full = frame.color_range == _FULL or frame.format.name.startswith("yuvj")
    return ColorCoding(matrix, _FULL if is_full else 1, frame.color_primaries, frame.color_trc)


def _pixels(frame: "VideoFrame", video: Video, reformatter: "VideoReformatter") -> Pixels:
    """Return a frame upright, in RGB and in the video's size, even if the size changes within the video."""
    width, height = (video.height, video.width) if video.turns % 2 else (video.width, video.height)
    colors = {} if frame.format.is_rgb else swscale_colors(video.colors, "src")
    rgb = reformatter.reformat(frame, width, height, "rgb24", interpolation="BICUBIC", **colors)
    return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), video.turns))


def new_reformatter() -> "VideoReformatter":
    """Return a converter of frames; use one per video, because its tables take longer to build than a frame to convert.

    Its conversions are `reformat`'s, with the colors of `swscale_colors`.
    """
    reformatter: VideoReformatter = load_av("").video.reformatter.VideoReformatter()
    return reformatter


def swscale_colors(colors: ColorCoding, end: str) -> dict[str, Any]:
    """Return the arguments of `reformat` for the colors at one end of a conversion, `src` or `dst`."""
    return {f"{end}_colorspace": _SWSCALE_MATRICES[colors.matrix], f"{end}_color_range": colors.range}
