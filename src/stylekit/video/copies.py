"""Copy sound, subtitles and metadata from videos to their results, without re-encoding."""

import io
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylekit.video.clocks import mended
from stylekit.video.files import load_av, open_video
from stylekit.video.formats import VIDEO_FORMATS
from stylekit.video.frames import Video

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

_HOLDS_MOST = "matroska"
_QUICKTIME = "com.apple.quicktime."  # start of the keys of place, date with time zone, and make in QuickTime files
_FILE_METADATA = {"major_brand", "minor_version", "compatible_brands", "encoder"}  # about the file, not the video


def video_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata that describes the video, not its file."""
    return {key: value for key, value in metadata.items() if key not in _FILE_METADATA}


def muxer_flags(muxer: str, metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the muxer options that make a format store a video's metadata."""
    if muxer not in ("mp4", "mov"):
        return {}
    needs_keys = any(key.startswith(_QUICKTIME) for key in metadata)
    # The index comes first, so that players can start at once.
    return {"movflags": "+faststart+use_metadata_tags" if needs_keys else "+faststart"}


def copy_chapters(source: "InputContainer", container: "OutputContainer", video: Video, end: Fraction) -> None:
    """Copy the chapters within the part of a video that is painted.

    Args:
        source: The video's file.
        container: The result.
        video: The video, with the time at which the part begins.
        end: The second at which the result ends.
    """
    shift = video.shift * video.time_base
    chapters = []
    for chapter in source.chapters():
        unit = chapter["time_base"] or Fraction(1, 1000)
        start, stop = (max(Fraction(0), min(chapter[key] * unit - shift, end)) for key in ("start", "end"))
        if start < stop:
            chapter["start"], chapter["end"] = round(start / unit), round(stop / unit)
            chapters.append(chapter)
    if chapters and not video.jumps:
        container.set_chapters(chapters)


def find_copied_streams(video: Video, output: Path) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Find out by trial which of a video's sound and subtitle streams its result can hold.

    Args:
        video: The video.
        output: The result's file.

    Returns:
        The indexes of their streams, and a note on each stream that is dropped.

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
                hint = ", but .mkv can" if _can_copy(video.path, stream.index, _HOLDS_MOST) else ""
                notes.append(f"{kind} dropped: {muxer} cannot hold {codec}{hint}")
    return tuple(numbers), tuple(notes)


def _can_copy(path: Path, number: int, muxer: str) -> bool:
    """Return whether a format can hold a video's stream; for sound, the first packet is tried, too."""
    av = load_av(path.name)
    with open_video(path) as source:
        stream = source.streams[number]
        packets = list(islice(source.demux(stream), 1)) if stream.type == "audio" else []
        try:
            with av.open(io.BytesIO(), "w", muxer) as trial:
                copy = add_copy(stream, trial)
                trial.start_encoding()
                for packet in packets:
                    packet.stream = copy
                    trial.mux(packet)
        except (av.error.FFmpegError, ValueError):
            return False
    return True


def add_copy(stream: "Stream", container: "OutputContainer") -> "Stream":
    """Add a stream with the same parameters as a stream of another file, and return it."""
    copy: Stream = container.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(stream.metadata)
    copy.disposition = stream.disposition
    return copy


def copied_packets(
    source: "InputContainer", copies: Mapping["Stream", "Stream"], video: Video
) -> Iterator["Packet[Any]"]:
    """Yield the packets of sound and subtitles within the part of the video that is painted, byte for byte.

    Args:
        source: The video's file.
        copies: The copy of each stream.
        video: The video, with the times at which the part begins and ends.
    """
    if not copies:
        return
    begin, end = (None if time is None else time * video.time_base for time in (video.begin, video.end))
    has_subtitles = any(stream.type == "subtitle" for stream in copies)
    if begin is not None and not video.jumps and not has_subtitles:  # a subtitle may have come long before
        source.seek(int(begin * 1_000_000))
    latest: dict[Stream, int] = {}
    for packet in mended(source.demux(*copies), video.jumps):
        if packet.pts is None or packet.dts is None:
            continue
        second = packet.pts * packet.time_base
        if begin is not None and second < begin:
            late = begin - second - (packet.duration or 0) * packet.time_base
            if packet.stream.type != "subtitle" or late >= 0:
                continue
            packet.pts = packet.dts = round(begin / packet.time_base)  # it is on screen when the part begins
            packet.duration = round(-late / packet.time_base)
        elif end is not None and second >= end:
            continue
        if packet.stream.type == "audio":
            if packet.dts <= latest.get(packet.stream, packet.dts - 1):  # sound overlaps where recordings were joined
                continue
            latest[packet.stream] = packet.dts
        shift = round(video.shift * video.time_base / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = copies[packet.stream]
        yield packet


def decoding_time(packet: "Packet[Any]") -> Fraction:
    """Return when a packet is decoded, in seconds."""
    return (packet.dts or 0) * packet.time_base
