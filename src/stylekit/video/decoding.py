"""Decode the packets of videos to frames, each with its time."""

from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from stylekit.video.clocks import Jump, mended
from stylekit.video.files import declares_alpha, load_av

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

AVI = "avi"  # FFmpeg's name for the format
_PROGRESSIVE = (0, 1)  # as a field order; 0 is unknown
# The decoders of FFmpeg itself ignore alpha, which these files declare.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}

Decoded = tuple[int, "VideoFrame | None"]  # a frame's time, and the frame; None if it cannot be decoded


def is_unordered(container: "InputContainer", stream: "VideoStream") -> bool:
    """Return whether the times of a file's frames are in decoding order, not in display order."""
    return container.format.name == AVI and bool(stream.codec_context.has_b_frames)


def decode_frames(
    container: "InputContainer", stream: "VideoStream", jumps: tuple[Jump, ...] = ()
) -> Iterator[Decoded]:
    """Yield each frame with its time, in order; None stands for a frame that cannot be decoded.

    Decoders drop such frames late, and do not always raise an error. But they return frames in the order of their
    times: a frame has been dropped if a later one comes first.
    """
    av = load_av("")
    due: list[int] = []
    last: int | None = None
    has_sorted_times = is_unordered(container, stream)
    is_progressive = stream.codec_context.field_order in _PROGRESSIVE  # otherwise two packets may hold one frame

    def dropped(until: float) -> Iterator[tuple[int, None]]:
        nonlocal last
        while due and due[0] < until:
            time = heappop(due)
            if last is not None and time > last:
                last = time
                yield time, None

    decode = _decoder(stream)
    codec = stream.codec_context.name
    for packet in mended(container.demux(stream), jumps):
        is_shown = is_progressive and packet.size and not packet.is_discard and not is_invisible(packet, codec)
        if is_shown and packet.pts is not None:
            heappush(due, packet.pts)
        try:
            frames = decode(packet)
        except av.error.FFmpegError:
            continue
        for frame in frames:
            time = due[0] if has_sorted_times and due else frame.pts
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


def is_invisible(packet: "Packet[Any]", codec: str) -> bool:
    """Return whether a packet of VP8 or VP9 only holds an image to which later frames refer."""
    if codec == "vp8":
        return not bytes(packet)[0] & 0x10
    if codec != "vp9":
        return False
    data = bytes(packet)
    head = f"{data[0]:08b}"
    if data[-1] & 0xE0 == 0xC0:  # a superframe, which ends with a visible frame
        return False
    flags = head[5:8] if head[2:4] == "11" else head[4:7]  # repeats a frame, its type, is shown
    return flags[0] == flags[2] == "0"


def _decoder(stream: "VideoStream") -> Callable[["Packet[Any]"], Iterable["VideoFrame"]]:
    """Return a function that decodes a packet of a stream, with its alpha."""
    av = load_av("")
    context = stream.codec_context
    decoder = _ALPHA_DECODERS.get(context.name) if declares_alpha(stream.metadata) else None
    if decoder is None:
        return lambda packet: packet.decode()
    alpha_context = av.CodecContext.create(decoder, "r")
    alpha_context.options = context.options
    return lambda packet: alpha_context.decode(packet if packet.size else None)
