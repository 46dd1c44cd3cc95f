"""Videos by PyAV, which is an extra: a file's moving pictures as frames."""

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
from stylekit.video.formats import VIDEO_SUFFIXES
from stylekit.video.frames import Colors, Frame, Video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

# Files alone, and of videos alone: a playlist that calls itself a video could make us fetch anything.
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,nut"}
_STRICT = {"err_detect": "explode"}  # or else decoders make up what they cannot read
_BROADCAST_FORMATS = ("mpegts", "mpeg")  # clocks begin anywhere, and seeking goes past keyframes
_MATROSKA = "matroska,webm"  # whose duration is counted from 0, not from the first frame
_RGB, _UNKNOWN = 0, 2  # as matrix
_SWSCALE_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}  # by their numbers in ITU-T H.273
_LARGEST_SD = 576  # rows; videos up to it that do not tell are BT.601, as players have it
_FULL = 2  # as range
_PROGRESSIVE = (0, 1)  # as order of fields, 0 being unknown
_USUAL_RATE = Fraction(25)
_EARLIER = "Choose an earlier --start."


def load_av(name: str) -> Any:
    """Import PyAV.

    Args:
        name: the file that it is needed for.

    Raises:
        ImageError: if it is not installed.
    """
    try:
        return importlib.import_module("av")
    except ImportError:
        raise ImageError(f"{name} is a video, which needs an extra.", "pip install 'neural-stylekit[video]'") from None


@contextmanager
def opened(path: Path) -> Iterator["InputContainer"]:
    """Open a video's file, and turn whatever goes wrong with it into an `ImageError`."""
    av = load_av(path.name)
    with read_errors(path.name):
        if path.is_file() and not path.stat().st_size:
            raise ImageError(f"{path.name} is empty (0 bytes).", "Copy or download it again.")
        try:
            container = av.open(f"file:{path}", options=_OPTIONS, metadata_errors="replace")
        except (av.error.InvalidDataError, av.error.ArgumentError):
            hint = f"Videos end in {', '.join(sorted(VIDEO_SUFFIXES))}."
            raise ImageError(f"{path.name} is no video that can be read, or is cut short.", hint) from None
        with container:
            yield container


def probe_video(path: Path, *, start: float, end: float | None, max_size: int | None, max_pixels: int) -> Video:
    """Look at a video's file and its first frame.

    Args:
        path: the file.
        start: seconds that are left out at the beginning.
        end: second with which the wanted part ends; None goes to the end.
        max_size: longer side to which larger frames are reduced; None keeps their size.
        max_pixels: pixels above which a frame is taken for a decompression bomb.

    Raises:
        ImageError: if there is no video, or it cannot be read.
    """
    with opened(path) as container:
        stream = _moving(container, path.name, max_pixels)
        if stream.width * stream.height > max_pixels:
            sides = f"{stream.width:,} × {stream.height:,}"
            raise ImageError(f"{path.name} has {sides} pixels, over the limit of {max_pixels:,}.", RAISE_LIMIT)
        frame = next((frame for _, frame in _decoded(container, stream) if frame is not None), None)
        if frame is None:
            raise ImageError(f"No frame of {path.name} can be read.", "Copy or download it again.")
        turns = round(frame.rotation / 90) % 4
        width, height = reduced_size((frame.width, frame.height), max_size)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        time_base, rate = stream.time_base or Fraction(1, 1000), stream.average_rate or stream.guessed_rate
        first, seconds = (Fraction(time or 0, 1_000_000) for time in (container.start_time, container.duration))
        origin = 0  # from which --start and --end are counted
        if container.format.name in _BROADCAST_FORMATS:
            origin, first = round(first / time_base), Fraction(0)
        begin = origin + round(start / time_base)
        last = seconds
        if seconds and container.format.name != _MATROSKA:
            last += max(Fraction(0), first)
        if last and start >= last:
            raise ImageError(f"{path.name} is {float(last):.1f} seconds long, and --start is after its end.", _EARLIER)
        stop = float(last) if end is None else min(float(last), end)
        return Video(
            path=path,
            width=height if turns % 2 else width,
            height=width if turns % 2 else height,
            time_base=time_base,
            rate=rate or _USUAL_RATE,
            length=_length(stream, start, end, max(0.0, stop - max(float(first), start))),
            seconds=max(0.0, stop - start),
            begin=begin if start else None,
            end=None if end is None else origin + round(end / time_base),
            shift=begin,
            colors=_colors(frame),
            turns=turns,
            aspect=1 / aspect if turns % 2 else aspect,
            max_pixels=max_pixels,
        )


def video_frames(video: Video) -> Iterator[Frame]:
    """Read a video's frames from the one on screen when its wanted part begins; one that is broken is reported as such.

    Args:
        video: as `probe_video` found it.

    Raises:
        ImageError: if the file cannot be read any more.
    """
    with opened(video.path) as container:
        stream = _moving(container, video.path.name, video.max_pixels)
        if video.begin is not None and container.format.name not in _BROADCAST_FORMATS:
            container.seek(video.begin, stream=stream)
        usual = round(1 / (video.rate * video.time_base))
        reformatter = new_reformatter()
        began = False  # with a frame that can be read
        for time, frame in _from(video.begin, _decoded(container, stream)):
            began = began or frame is not None
            if not began:
                continue
            duration = (frame.duration if frame is not None else 0) or usual
            pixels = None if frame is None else _pixels(frame, video, reformatter)
            yield Frame(time - video.shift, duration, pixels, is_broken=frame is None)


def _from(
    begin: int | None, frames: Iterable[tuple[int, "VideoFrame | None"]]
) -> Iterator[tuple[int, "VideoFrame | None"]]:
    """Leave out frames that are over when the wanted part begins, lest they are converted for nothing."""
    before: list[tuple[int, VideoFrame | None]] = []  # what is on screen, and a later one that could not be read
    for time, frame in frames:
        if begin is None or time > begin:
            yield from before
            before = []
            yield time, frame
        else:
            before = [(time, frame)] if frame is not None else [*before[:1], (time, None)]
    yield from before


def _moving(container: "InputContainer", name: str, max_pixels: int) -> "VideoStream":
    """Return the stream of moving pictures, which an album's cover is not; no frame of it may be larger."""
    av = load_av(name)
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            stream.thread_type = "AUTO"
            stream.codec_context.options = {**_STRICT, "max_pixels": str(min(max_pixels, 2**31 - 1))}
            return stream
    raise ImageError(f"{name} has no moving pictures.", "It may hold sound alone.")


def _decoded(container: "InputContainer", stream: "VideoStream") -> Iterator[tuple[int, "VideoFrame | None"]]:
    """Give each frame with its time, in order; None in the place of one that cannot be read.

    Decoders drop what they cannot read, late and not always with an error. So it is noticed by its time: frames come
    in the order of their times, and one that is due has been dropped when a later one comes.
    """
    av = load_av("")
    due: list[int] = []
    last: int | None = None
    unordered = container.format.name == "avi" and stream.codec_context.has_b_frames
    whole = stream.codec_context.field_order in _PROGRESSIVE  # else a frame may come in two packets

    def dropped(until: float) -> Iterator[tuple[int, None]]:
        nonlocal last
        while due and due[0] < until:
            time = heappop(due)
            if last is not None and time > last:
                last = time
                yield time, None

    for packet in container.demux(stream):
        if whole and packet.pts is not None and packet.size and not packet.is_discard:
            heappush(due, packet.pts)
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        for frame in frames:
            time = due[0] if unordered and due else frame.pts
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


def _length(stream: "VideoStream", start: float, end: float | None, wanted: float) -> int:
    """Return about how many frames there will be in the wanted seconds; 0 where nothing tells."""
    if stream.frames and not start and end is None:
        return stream.frames
    return round(wanted * float(stream.average_rate or stream.guessed_rate or 0))


def _colors(frame: "VideoFrame") -> Colors:
    """Tell how a video codes colours. Where it does not say, by its size; videos in RGB become BT.709."""
    if frame.colorspace == _RGB or frame.format.is_rgb:
        return Colors(1, 1, frame.color_primaries, frame.color_trc)
    matrix = frame.colorspace
    if matrix not in _SWSCALE_MATRICES:
        matrix = 6 if frame.height <= _LARGEST_SD else 1
    full = frame.color_range == _FULL or frame.format.name.startswith("yuvj")
    return Colors(matrix, _FULL if full else 1, frame.color_primaries, frame.color_trc)


def _pixels(frame: "VideoFrame", video: Video, reformatter: "VideoReformatter") -> Pixels:
    """Return a frame upright, in RGB, and of the video's size, though it may change on the way."""
    width, height = (video.height, video.width) if video.turns % 2 else (video.width, video.height)
    colors = {} if frame.format.is_rgb else swscale_colors(video.colors, "src")
    rgb = reformatter.reformat(frame, width, height, "rgb24", interpolation="BICUBIC", **colors)
    return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), video.turns))


def new_reformatter() -> "VideoReformatter":
    """Return what converts frames: one for all of a video, for its tables take longer than a frame."""
    reformatter: VideoReformatter = load_av("").video.reformatter.VideoReformatter()
    return reformatter


def swscale_colors(colors: Colors, end: str) -> dict[str, Any]:
    """Return what to tell `reformat` about colours at the conversion's end `src` or `dst`."""
    return {f"{end}_colorspace": _SWSCALE_MATRICES[colors.matrix], f"{end}_color_range": colors.range}
