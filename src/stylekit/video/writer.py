"""Videos written by PyAV: frames as segments, and segments joined with the sound and subtitles of their source."""

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
from stylekit.video.reader import load_av, new_reformatter, open_video, swscale_colors
from stylekit.video.recipes import with_recipe

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

_SEGMENT_FORMAT = "nut"  # holds any codec, and times in any unit exactly
_FAST_START = {"movflags": "+faststart"}  # what players need first comes first
_FILE_METADATA = {"major_brand", "minor_version", "compatible_brands", "encoder"}  # about the file, not the video


def write_segment(frames: Iterable[tuple[int, Pixels]], path: Path, video: Video, *, codec: str, crf: int) -> None:
    """Encode frames as a segment of a video; segments can be joined without re-encoding.

    Args:
        frames: Times and images `(H, W, 3)`. Of an odd number of rows or columns the last one is cropped; a single one
            is doubled.
        path: The file to write, whole or not at all.
        video: Sets the unit of time, rate, color coding and aspect.
        codec: A key of `formats.VIDEO_CODECS`.
        crf: The codec's constant rate factor; lower is better.

    Raises:
        ImageError: If it cannot be written.
    """
    av = load_av(path.name)
    coding = VIDEO_CODECS[codec]
    colors = swscale_colors(video.colors, "dst")
    stream = None
    reformatter = new_reformatter()
    with _new_container(path, _SEGMENT_FORMAT) as container:
        for time, image in frames:
            with write_errors(path):
                rgb = av.VideoFrame.from_ndarray(_even(image), "rgb24")
                frame = reformatter.reformat(rgb, format="yuv420p", **colors)
                frame.pts, frame.time_base = time, video.time_base
                if stream is None:
                    options = {**coding.options, "crf": str(crf)}
                    stream = container.add_stream(coding.encoder, rate=video.rate, options=options)
                    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
                    stream.time_base = video.time_base
                    _set_up_encoder(stream.codec_context, video)
                container.mux(stream.encode(frame))
        if stream is not None:
            with write_errors(path):
                container.mux(stream.encode(None))


@contextmanager
def _new_container(
    path: Path, muxer: str, options: Mapping[str, str] | None = None, *, overwrite: bool = True
) -> Iterator[Any]:
    """Yield a video file to write to, which appears whole or not at all, after it has reached the disk.

    Only errors of opening and closing it are errors of writing: others in the block may have other causes.
    """
    av = load_av(path.name)
    with ExitStack() as stack:
        with write_errors(path):
            temporary = stack.enter_context(atomic_write(path, overwrite=overwrite))
            container = av.open(str(temporary), "w", muxer, options=dict(options or {}))
        try:
            yield container
        except BaseException:
            with suppress(Exception):  # the file is abandoned
                container.close()
            raise
        with write_errors(path):
            container.close()
            flush_to_disk(temporary)
            stack.close()  # moves it into place
            flush_to_disk(path.parent)


def _even(image: Pixels) -> Pixels:
    """Return an image with an even number of rows and columns."""
    height, width = image.shape[:2]
    doubled = np.pad(image, ((0, height == 1), (0, width == 1), (0, 0)), "edge") if 1 in (height, width) else image
    return doubled[: max(2, height // 2 * 2), : max(2, width // 2 * 2)]


def _set_up_encoder(context: Any, video: Video) -> None:
    context.time_base = video.time_base
    context.max_b_frames = 0  # packets in the order of their frames, so that segments can follow one another
    context.colorspace, context.color_range = video.colors.matrix, video.colors.range
    context.color_primaries, context.color_trc = video.colors.primaries, video.colors.transfer
    context.sample_aspect_ratio = video.aspect


def join_segments(
    segments: Sequence[Path],
    video: Video,
    output: Path,
    *,
    copied_streams: Sequence[int] = (),
    end: Fraction,
    strip_metadata: bool,
    recipe: str | None = None,
    overwrite: bool = True,
) -> None:
    """Join segments, and the sound and subtitles of their source, without re-encoding.

    Args:
        segments: The segments, in order.
        video: Their source.
        output: The file to write, whole or not at all; its suffix sets the format.
        copied_streams: The numbers of the source's streams to copy, from `find_copied_streams`.
        end: The second at which the last frame ends.
        strip_metadata: Whether to leave out title, location, recipe and so on.
        recipe: How the video was painted, as JSON; it becomes a line of the comment.
        overwrite: Whether an existing file is replaced.

    Raises:
        ImageError: If something cannot be read or written.
        OutputExists: If the file exists and `overwrite` is false.
    """
    muxer = VIDEO_FORMATS[output.suffix.lower()].muxer
    is_mp4 = muxer in ("mp4", "mov")
    with ExitStack() as stack:
        source = None if video.is_animation else stack.enter_context(open_video(video.path))
        first = stack.enter_context(open_video(segments[0])).streams.video[0]
        options = _FAST_START if is_mp4 else {}
        container = stack.enter_context(_new_container(output, muxer, options, overwrite=overwrite))
        with write_errors(output):
            stream = container.add_stream_from_template(first, opaque=True)
            if is_mp4 and (tag := VIDEO_CODECS[first.codec_context.codec.canonical_name].tag):
                stream.codec_context.codec_tag = tag
            packets = _segment_packets(segments, stream, end)
            if not strip_metadata:
                metadata = {} if source is None else _video_metadata(source.metadata)
                container.metadata.update(with_recipe(metadata, recipe))
            if source is not None:
                copies = {source.streams[n]: _add_copy(source.streams[n], container) for n in copied_streams}
                packets = merge(packets, _copied_packets(source, copies, video), key=_decoding_time)
        for packet in packets:
            with write_errors(output):
                container.mux(packet)


def _video_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata that describes a video rather than its file."""
    return {key: value for key, value in metadata.items() if key not in _FILE_METADATA}


def find_copied_streams(video: Video, output: Path) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Find, by a trial, the sound and subtitles of a video that its result can hold.

    Args:
        video: The video.
        output: The result's file.

    Returns:
        The numbers of their streams, and a short phrase for each stream that is dropped.

    Raises:
        ImageError: If the video cannot be read.
    """
    if video.is_animation:
        return (), ()
    muxer = VIDEO_FORMATS[output.suffix.lower()].muxer
    numbers: list[int] = []
    notes: list[str] = []
    with open_video(video.path) as source:
        for stream in (*source.streams.audio, *source.streams.subtitles):
            if _can_copy(video.path, stream.index, muxer):
                numbers.append(stream.index)
            else:
                kind = "sound" if stream.type == "audio" else "subtitles"
                context = stream.codec_context  # None where FFmpeg has no decoder
                codec = "an unknown codec" if context is None else context.codec.canonical_name
                notes.append(f"{kind} dropped: {muxer} cannot hold {codec}")
    return tuple(numbers), tuple(notes)


def _can_copy(path: Path, number: int, muxer: str) -> bool:
    """Return whether a format can hold a video's stream. Of sound, the first packet is tried too."""
    av = load_av(path.name)
    with open_video(path) as source:
        stream = source.streams[number]
        packets = list(islice(source.demux(stream), 1)) if stream.type == "audio" else []
        try:
            with av.open(io.BytesIO(), "w", muxer) as trial:
                copy = _add_copy(stream, trial)
                trial.start_encoding()
                for packet in packets:
                    packet.stream = copy
                    trial.mux(packet)
        except (av.error.FFmpegError, ValueError):
            return False
    return True


def _add_copy(stream: "Stream", container: "OutputContainer") -> "Stream":
    """Add a stream like another file's to a file, and return it."""
    copy: Stream = container.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(stream.metadata)
    copy.disposition = stream.disposition
    return copy


def _segment_packets(segments: Sequence[Path], stream: "VideoStream", end: Fraction) -> Iterator["Packet[Any]"]:
    """Yield the segments' packets, each lasting until the next one."""
    waiting: Packet[Any] | None = None
    for path in segments:
        with open_video(path) as segment:
            for packet in segment.demux(video=0):
                if packet.pts is None:  # the last one, which only flushes decoders
                    continue
                packet.stream = stream
                if waiting is not None and waiting.pts is not None:
                    waiting.duration = packet.pts - waiting.pts
                    yield waiting
                waiting = packet
    if waiting is not None and waiting.pts is not None:
        waiting.duration = max(1, round(end / waiting.time_base) - waiting.pts)
        yield waiting


def _copied_packets(
    source: "InputContainer", copies: Mapping["Stream", "Stream"], video: Video
) -> Iterator["Packet[Any]"]:
    """Yield the packets of sound and subtitles within the part of the video that is painted, byte for byte.

    Args:
        source: The video's file.
        copies: The copy of each stream.
        video: The video, which says when the part begins and ends.
    """
    if not copies:
        return
    begin, end = (None if time is None else time * video.time_base for time in (video.begin, video.end))
    if begin is not None:
        source.seek(int(begin * 1_000_000))
    for packet in source.demux(*copies):
        if packet.pts is None or packet.dts is None:
            continue
        second = packet.pts * packet.time_base
        if (begin is not None and second < begin) or (end is not None and second >= end):
            continue
        shift = round(video.shift * video.time_base / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = copies[packet.stream]
        yield packet


def _decoding_time(packet: "Packet[Any]") -> Fraction:
    """Return when a packet is decoded, in seconds."""
    return (packet.dts or 0) * packet.time_base
