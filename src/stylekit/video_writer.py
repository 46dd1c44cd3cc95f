"""Films by PyAV: pictures as segments of a film, and segments joined with the sound of the film they come from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylekit.colors import Pixels
from stylekit.films import Film
from stylekit.formats import VIDEO_CODECS, VIDEO_FORMATS
from stylekit.paths import atomic_write
from stylekit.pillow_guard import write_errors
from stylekit.video_reader import load_av, new_reformatter, opened, swscale_colors

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

_SEGMENT_FORMAT = "nut"  # which knows any codec, and any unit of time exactly
_FAST_START = {"movflags": "+faststart"}  # what a player needs first comes first
_OF_THE_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder"}  # rather than of the film


def write_segment(pictures: Iterable[tuple[int, Pixels]], path: Path, film: Film, *, codec: str, crf: int) -> None:
    """Encode pictures as a segment of a film, so that segments can be joined as they are.

    Args:
        pictures: each with its time, `(H, W, 3)`; the last row or column is cut off where they are odd in number.
        path: the file to write, whole or not at all.
        film: what time, rate, colours and aspect are taken from.
        codec: a key of `formats.VIDEO_CODECS`.
        crf: the codec's constant rate factor; lower is better.

    Raises:
        ImageError: if it cannot be written.
    """
    av = load_av(path.name)
    coding = VIDEO_CODECS[codec]
    colors = swscale_colors(film.colors, "dst")
    with (
        write_errors(path),
        atomic_write(path) as temporary,
        av.open(str(temporary), "w", _SEGMENT_FORMAT) as container,
    ):
        stream = None
        reformatter = new_reformatter()
        for time, picture in pictures:
            even = picture[: len(picture) // 2 * 2, : picture.shape[1] // 2 * 2]
            frame = reformatter.reformat(av.VideoFrame.from_ndarray(even, "rgb24"), format="yuv420p", **colors)
            frame.pts, frame.time_base = time, film.time_base
            if stream is None:
                options = {**coding.options, "crf": str(crf)}
                stream = container.add_stream(coding.encoder, rate=film.rate, options=options)
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
                stream.time_base = film.time_base
                _describe(stream.codec_context, film)
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))


def _describe(context: Any, film: Film) -> None:
    context.time_base = film.time_base
    context.max_b_frames = 0  # each packet is shown when it is read, so that segments follow one another
    context.colorspace, context.color_range = film.colors.matrix, film.colors.range
    context.color_primaries, context.color_trc = film.colors.primaries, film.colors.transfer
    context.sample_aspect_ratio = film.aspect


def join(segments: Sequence[Path], film: Film, output: Path, *, end: Fraction, strip_metadata: bool) -> tuple[str, ...]:
    """Join segments, and the sound and the subtitles of the film they come from; nothing is encoded anew.

    Args:
        segments: in order.
        film: what they come from.
        output: the file to write, whole or not at all; its suffix sets the format.
        end: second in which the last picture ends.
        strip_metadata: whether title, place and so on are left out.

    Returns:
        What the format could not hold, a short phrase each.

    Raises:
        ImageError: if something cannot be read or written.
    """
    av = load_av(output.name)
    muxer = VIDEO_FORMATS[output.suffix.lower()].muxer
    is_mp4 = muxer in ("mp4", "mov")
    notes: list[str] = []
    with ExitStack() as stack:
        source = None if film.is_animation else stack.enter_context(opened(film.path))
        first = stack.enter_context(opened(segments[0])).streams.video[0]
        stack.enter_context(write_errors(output))
        temporary = stack.enter_context(atomic_write(output))
        container = stack.enter_context(av.open(str(temporary), "w", muxer, options=_FAST_START if is_mp4 else {}))
        video = container.add_stream_from_template(first, opaque=True)
        if is_mp4 and (tag := VIDEO_CODECS[first.codec_context.codec.canonical_name].tag):
            video.codec_context.codec_tag = tag
        packets = _pictures(segments, video, end)
        if source is not None:
            if not strip_metadata:
                container.metadata.update(_worth_keeping(source.metadata))
            packets = merge(packets, _others(source, _companions(source, container, notes), film), key=_moment)
        for packet in packets:
            container.mux(packet)
    return tuple(notes)


def _worth_keeping(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key not in _OF_THE_FILE}


def _companions(source: "InputContainer", container: "OutputContainer", notes: list[str]) -> dict["Stream", "Stream"]:
    """Give the result a stream for each of sound and subtitles, as far as its format can hold them."""
    companions: dict[Stream, Stream] = {}
    for stream in (*source.streams.audio, *source.streams.subtitles):
        try:
            copy = container.add_stream_from_template(stream, opaque=True)
        except ValueError:
            kind = "sound" if stream.type == "audio" else "subtitles"
            notes.append(
                f"{kind} left out: {container.format.name} holds no {stream.codec_context.codec.canonical_name}"
            )
            continue
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        companions[stream] = copy
    return companions


def _pictures(segments: Sequence[Path], video: "VideoStream", end: Fraction) -> Iterator["Packet[Any]"]:
    """Give the segments' packets, each lasting until the next one."""
    waiting: Packet[Any] | None = None
    for path in segments:
        with opened(path) as segment:
            for packet in segment.demux(video=0):
                if packet.pts is None:  # the one that asks a decoder for what it holds back
                    continue
                packet.stream = video
                if waiting is not None and waiting.pts is not None:
                    waiting.duration = packet.pts - waiting.pts
                    yield waiting
                waiting = packet
    if waiting is not None and waiting.pts is not None:
        waiting.duration = max(1, round(end / waiting.time_base) - waiting.pts)
        yield waiting


def _others(source: "InputContainer", companions: Mapping["Stream", "Stream"], film: Film) -> Iterator["Packet[Any]"]:
    """Give the packets of sound and subtitles that belong to the wanted part of the film, bit by bit as they are."""
    if not companions:
        return
    begin, end = (None if time is None else time * film.time_base for time in (film.begin, film.end))
    if begin is not None:
        source.seek(int(begin * 1_000_000))
    for packet in source.demux(*companions):
        if packet.pts is None or packet.dts is None:
            continue
        moment = packet.pts * packet.time_base
        if (begin is not None and moment < begin) or (end is not None and moment >= end):
            continue
        shift = round(film.shift * film.time_base / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = companions[packet.stream]
        yield packet


def _moment(packet: "Packet[Any]") -> Fraction:
    """When a packet is to be read, in seconds."""
    return (packet.dts or 0) * packet.time_base
