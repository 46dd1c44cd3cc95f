"""Clocks of video files that begin again or jump, as in recordings that were joined byte by byte."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet

_INDEXED_FORMATS = ("avi", "mov,mp4,m4a,3gp,3g2,mj2")  # their times are sums of durations, which cannot jump
_ALLOWS_JUMPS = 0x0200  # AVFMT_TS_DISCONT, as a flag of formats
_BACK = Fraction(1, 2)  # second by which packets may be out of order
_GAP = 10  # seconds without any packet that are a jump, as in FFmpeg
_LONGEST = Fraction(1)  # second; FFmpeg takes a jump for the duration of the packet before it
_KINDS = ("video", "audio")  # subtitles have gaps


@dataclass(frozen=True)
class Jump:
    """A place in a file at which the clock of a stream jumps.

    Attributes:
        stream: The index of the stream.
        packet: The number of the first packet after the jump among the stream's packets.
        offset: The seconds to add to the times of this packet and the later ones.
    """

    stream: int
    packet: int
    offset: Fraction


@dataclass(frozen=True)
class Clock:
    """The mended clock of a file, in seconds.

    Attributes:
        jumps: The jumps to mend; empty if the clock is right.
        begin: When the first packet of sound or video is shown.
        end: When the last one ends.
    """

    jumps: tuple[Jump, ...] = ()
    begin: Fraction = Fraction(0)
    end: Fraction = Fraction(0)


def read_clock(container: "InputContainer") -> Clock:
    """Read all packets of a file, and find out how to mend its clock.

    A clock that goes back begins again, which no player expects. A gap without sound and video is a jump only in
    formats for broadcasting, where it is usual; elsewhere it may be meant.
    """
    if container.format.name in _INDEXED_FORMATS:
        return Clock()
    has_gaps = bool(container.format.flags & _ALLOWS_JUMPS) or container.format.name == "flv"
    streams = [stream for stream in container.streams if stream.type in _KINDS]
    counts: Counter[int] = Counter()
    offsets: dict[int, Fraction] = {}
    latest: dict[int, Fraction] = {}  # when the latest packet of each stream is decoded, in mended time
    ends: dict[int, Fraction] = {}  # when the last one ends
    jumps: list[Jump] = []
    begin: Fraction | None = None
    for packet in _readable(container.demux(*streams)):
        index, number = packet.stream_index, counts[packet.stream_index]
        counts[index] += 1
        if packet.pts is None:
            continue
        if index not in ends and jumps:  # the stream appears after a jump
            offsets[index] = jumps[-1].offset
            jumps.append(Jump(index, number, offsets[index]))
        offset = offsets.get(index, Fraction(0))
        shown = packet.pts * packet.time_base
        decoded = shown if packet.dts is None else packet.dts * packet.time_base
        first, last = sorted((shown, decoded))  # FFmpeg may give a packet at a jump a time from each side
        if index in ends and (
            first + offset < latest[index] - _BACK or (has_gaps and last + offset > max(ends.values()) + _GAP)
        ):
            offset = _mended(offset, ends[index] - shown, offsets.values())
            offsets[index] = offset
            jumps.append(Jump(index, number, offset))
        latest[index] = decoded + offset
        end = shown + offset + min((packet.duration or 0) * packet.time_base, _LONGEST)
        ends[index] = max(end, ends.get(index, end))
        begin = shown + offset if begin is None else min(begin, shown + offset)
    return Clock(tuple(jumps), begin or Fraction(0), max(ends.values(), default=Fraction(0)))


def _readable(packets: Iterator["Packet[Any]"]) -> Iterator["Packet[Any]"]:
    """Yield packets up to a read error, which matters only if the frames after it are painted."""
    from av.error import FFmpegError

    with suppress(FFmpegError):
        yield from packets


def _mended(offset: Fraction, exact: Fraction, others: Iterable[Fraction]) -> Fraction:
    """Return the offset after a jump.

    A stream that jumps after another one gets its offset, if that fits, so that sound and video stay together.

    Args:
        offset: The stream's offset before the jump.
        exact: The offset with which the packet would follow the previous ones exactly.
        others: The latest offsets of all streams.
    """
    nearest = min(others, key=lambda other: abs(other - exact), default=exact)
    return nearest if nearest != offset and abs(nearest - exact) < 1 else exact


def mended(packets: Iterable["Packet[Any]"], jumps: Iterable[Jump]) -> Iterator["Packet[Any]"]:
    """Yield packets with mended times.

    Args:
        packets: All packets of some streams, from the start of the file.
        jumps: The jumps of the file's clock.
    """
    starts = {(jump.stream, jump.packet): jump.offset for jump in jumps}
    counts: Counter[int] = Counter()
    offsets: dict[int, Fraction] = {}
    for packet in packets:
        index, number = packet.stream_index, counts[packet.stream_index]
        counts[index] += 1
        offsets[index] = starts.get((index, number), offsets.get(index, Fraction(0)))
        if offsets[index] and packet.time_base:
            shift = round(offsets[index] / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + shift
            packet.dts = None if packet.dts is None else packet.dts + shift
        yield packet
