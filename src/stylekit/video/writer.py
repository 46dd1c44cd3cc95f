"""Videos by PyAV: pictures as segments of a video, and segments joined with the sound of the video they come from."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stylekit.images.errors import write_errors
from stylekit.images.pixels import Pixels
from stylekit.system.files import atomic_write, flush_to_disk
from stylekit.video.formats import VIDEO_CODECS, VIDEO_FORMATS
from stylekit.video.frames import Video
from stylekit.video.reader import load_av, new_reformatter, opened, swscale_colors

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

_SEGMENT_FORMAT = "nut"  # which knows any codec, and any unit of time exactly
_FAST_START = {"movflags": "+faststart"}  # what a player needs first comes first
_OF_THE_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder"}  # rather than of the video


def write_segment(pictures: Iterable[tuple[int, Pixels]], path: Path, video: Video, *, codec: str, crf: int) -> None:
    """Encode pictures as a segment of a video, so that segments can be joined as they are.

    Args:
        pictures: each with its time, `(H, W, 3)`; the last row or column is cut off where they are odd in number, and
            doubled where there is no other.
        path: the file to write, whole or not at all.
        video: what time, rate, colours and aspect are taken from.
        codec: a key of `formats.VIDEO_CODECS`.
        crf: the codec's constant rate factor; lower is better.

    Raises:
        ImageError: if it cannot be written.
    """
    av = load_av(path.name)
    coding = VIDEO_CODECS[codec]
    colors = swscale_colors(video.colors, "dst")
    stream = None
    reformatter = new_reformatter()
    with _created(path, _SEGMENT_FORMAT) as container:
        for time, picture in pictures:
            with write_errors(path):
                rgb = av.VideoFrame.from_ndarray(_even(picture), "rgb24")
                frame = reformatter.reformat(rgb, format="yuv420p", **colors)
                frame.pts, frame.time_base = time, video.time_base
                if stream is None:
                    options = {**coding.options, "crf": str(crf)}
                    stream = container.add_stream(coding.encoder, rate=video.rate, options=options)
                    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
                    stream.time_base = video.time_base
                    _describe(stream.codec_context, video)
                container.mux(stream.encode(frame))
        if stream is not None:
            with write_errors(path):
                container.mux(stream.encode(None))


@contextmanager
def _created(
    path: Path, muxer: str, options: Mapping[str, str] | None = None, *, overwrite: bool = True
) -> Iterator[Any]:
    """Open a video's file to write, whole or not at all; it is on the disk before it is in its place.

    Errors of opening and closing are those of writing; what goes wrong in between may be another's fault.
    """
    av = load_av(path.name)
    with ExitStack() as stack:
        with write_errors(path):
            temporary = stack.enter_context(atomic_write(path, overwrite=overwrite))
            container = av.open(str(temporary), "w", muxer, options=dict(options or {}))
        try:
            yield container
        except BaseException:
            with suppress(Exception):  # it is given up
                container.close()
            raise
        with write_errors(path):
            container.close()
            flush_to_disk(temporary)
            stack.close()  # which moves it into its place
            flush_to_disk(path.parent)


def _even(picture: Pixels) -> Pixels:
    height, width = picture.shape[:2]
    doubled = np.pad(picture, ((0, height == 1), (0, width == 1), (0, 0)), "edge") if 1 in (height, width) else picture
    return doubled[: max(2, height // 2 * 2), : max(2, width // 2 * 2)]


def _describe(context: Any, video: Video) -> None:
    context.time_base = video.time_base
    context.max_b_frames = 0  # each packet is shown when it is read, so that segments follow one another
    context.colorspace, context.color_range = video.colors.matrix, video.colors.range
    context.color_primaries, context.color_trc = video.colors.primaries, video.colors.transfer
    context.sample_aspect_ratio = video.aspect


def join(
    segments: Sequence[Path],
    video: Video,
    output: Path,
    *,
    companions: Sequence[int] = (),
    end: Fraction,
    strip_metadata: bool,
    overwrite: bool = True,
) -> None:
    """Join segments, and the sound and the subtitles of the video they come from; nothing is encoded anew.

    Args:
        segments: in order.
        video: what they come from.
        output: the file to write, whole or not at all; its suffix sets the format.
        companions: numbers of the video's streams of sound and subtitles that are to be joined, by `find_companions`.
        end: second in which the last picture ends.
        strip_metadata: whether title, place and so on are left out.
        overwrite: whether an existing file is replaced.

    Raises:
        ImageError: if something cannot be read or written.
        OutputExists: if the file exists and `overwrite` is false.
    """
    muxer = VIDEO_FORMATS[output.suffix.lower()].muxer
    is_mp4 = muxer in ("mp4", "mov")
    with ExitStack() as stack:
        source = None if video.is_animation else stack.enter_context(opened(video.path))
        first = stack.enter_context(opened(segments[0])).streams.video[0]
        options = _FAST_START if is_mp4 else {}
        container = stack.enter_context(_created(output, muxer, options, overwrite=overwrite))
        with write_errors(output):
            stream = container.add_stream_from_template(first, opaque=True)
            if is_mp4 and (tag := VIDEO_CODECS[first.codec_context.codec.canonical_name].tag):
                stream.codec_context.codec_tag = tag
            packets = _packets(segments, stream, end)
            if source is not None:
                if not strip_metadata:
                    container.metadata.update(_worth_keeping(source.metadata))
                streams = {source.streams[number]: _copied(source.streams[number], container) for number in companions}
                packets = merge(packets, _others(source, streams, video), key=_moment)
        for packet in packets:
            with write_errors(output):
                container.mux(packet)


def _worth_keeping(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key not in _OF_THE_FILE}


def find_companions(video: Video, output: Path) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Find out which sound and subtitles of a video its new file can hold, by trying.

    Args:
        video: the video.
        output: the file that is to be written.

    Returns:
        The numbers of their streams, and a short phrase for each that is left out.

    Raises:
        ImageError: if the video cannot be read.
    """
    if video.is_animation:
        return (), ()
    muxer = VIDEO_FORMATS[output.suffix.lower()].muxer
    found: list[int] = []
    notes: list[str] = []
    with opened(video.path) as source:
        for stream in (*source.streams.audio, *source.streams.subtitles):
            if _is_held(video.path, stream.index, muxer):
                found.append(stream.index)
            else:
                kind = "sound" if stream.type == "audio" else "subtitles"
                context = stream.codec_context  # None where FFmpeg has no decoder
                codec = "unknown codec" if context is None else context.codec.canonical_name
                notes.append(f"{kind} left out: {muxer} holds no {codec}")
    return tuple(found), tuple(notes)


def _is_held(path: Path, number: int, muxer: str) -> bool:
    """Tell whether a kind of file can hold a video's stream: of its sound, also the first packet."""
    av = load_av(path.name)
    with opened(path) as source:
        stream = source.streams[number]
        packets = list(islice(source.demux(stream), 1)) if stream.type == "audio" else []
        try:
            with av.open(io.BytesIO(), "w", muxer) as trial:
                copy = _copied(stream, trial)
                trial.start_encoding()
                for packet in packets:
                    packet.stream = copy
                    trial.mux(packet)
        except (av.error.FFmpegError, ValueError):
            return False
    return True


def _copied(stream: "Stream", container: "OutputContainer") -> "Stream":
    """Give a file a stream like another file's."""
    copy: Stream = container.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(stream.metadata)
    copy.disposition = stream.disposition
    return copy


def _packets(segments: Sequence[Path], stream: "VideoStream", end: Fraction) -> Iterator["Packet[Any]"]:
    """Give the segments' packets, each lasting until the next one."""
    waiting: Packet[Any] | None = None
    for path in segments:
        with opened(path) as segment:
            for packet in segment.demux(video=0):
                if packet.pts is None:  # the one that asks a decoder for what it holds back
                    continue
                packet.stream = stream
                if waiting is not None and waiting.pts is not None:
                    waiting.duration = packet.pts - waiting.pts
                    yield waiting
                waiting = packet
    if waiting is not None and waiting.pts is not None:
        waiting.duration = max(1, round(end / waiting.time_base) - waiting.pts)
        yield waiting


def _others(source: "InputContainer", companions: Mapping["Stream", "Stream"], video: Video) -> Iterator["Packet[Any]"]:
    """Give the packets of sound and subtitles that belong to the wanted part of the video, bit by bit as they are."""
    if not companions:
        return
    begin, end = (None if time is None else time * video.time_base for time in (video.begin, video.end))
    if begin is not None:
        source.seek(int(begin * 1_000_000))
    for packet in source.demux(*companions):
        if packet.pts is None or packet.dts is None:
            continue
        moment = packet.pts * packet.time_base
        if (begin is not None and moment < begin) or (end is not None and moment >= end):
            continue
        shift = round(video.shift * video.time_base / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = companions[packet.stream]
        yield packet


def _moment(packet: "Packet[Any]") -> Fraction:
    """When a packet is to be read, in seconds."""
    return (packet.dts or 0) * packet.time_base
