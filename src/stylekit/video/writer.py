"""Write videos with PyAV: frames as segments, and segments joined with the sound and subtitles of their source."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylekit.images.errors import write_errors
from stylekit.images.pixels import Pixels
from stylekit.system.files import atomic_write, flush_to_disk
from stylekit.video.conversion import Converter
from stylekit.video.copies import add_copy, copied_packets, copy_chapters, decoding_time, muxer_flags, video_metadata
from stylekit.video.files import ALPHA_KEY, declares_alpha, load_av, open_video
from stylekit.video.formats import VIDEO_CODECS, VIDEO_FORMATS
from stylekit.video.frames import Video
from stylekit.video.recipes import with_recipe

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

_SEGMENT_FORMAT = "nut"  # holds any codec, and times in any unit exactly
_ALPHA_SEGMENT_FORMAT = "matroska"  # NUT drops alpha; its times in ms are those of the formats that hold alpha


def write_segment(
    frames: Iterable[tuple[int, Pixels, Pixels | None]],
    path: Path,
    video: Video,
    *,
    codec: str,
    crf: int,
    keeps_alpha: bool = False,
) -> None:
    """Encode frames as a segment of a video; segments can be joined without re-encoding.

    Args:
        frames: Times, images `(H, W, 3)` and their alpha `(H, W)` or None. Images with an odd number of rows or columns
            are scaled to the nearest even one.
        path: The file to write, whole or not at all.
        video: The video that defines the unit of time, rate, color coding and aspect.
        codec: A key of `formats.VIDEO_CODECS`.
        crf: The codec's constant rate factor; lower is better.
        keeps_alpha: Whether the frames are encoded with alpha, which only VP9 can do.

    Raises:
        ImageError: If the file cannot be written.
    """
    coding = VIDEO_CODECS[codec]
    stream = None
    converter = Converter(video)
    with _new_container(path, _ALPHA_SEGMENT_FORMAT if keeps_alpha else _SEGMENT_FORMAT) as container:
        for time, image, alpha in frames:
            with write_errors(path):
                frame = converter.write(image, alpha, keeps_alpha=keeps_alpha)
                frame.pts, frame.time_base = time, video.time_base
                if stream is None:
                    options = {**coding.options, "crf": str(crf)}
                    stream = container.add_stream(coding.encoder, rate=video.rate, options=options)
                    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
                    stream.time_base = video.time_base
                    if keeps_alpha:
                        stream.metadata[ALPHA_KEY] = "1"
                    _set_up_encoder(stream.codec_context, video)
                container.mux(stream.encode(frame))
        if stream is not None:
            with write_errors(path):
                container.mux(stream.encode(None))


@contextmanager
def _new_container(
    path: Path, muxer: str, options: Mapping[str, str] | None = None, *, overwrite: bool = True
) -> Iterator[Any]:
    """Yield a new video file, which is moved into place once it is complete and has reached the disk.

    Only errors while opening and closing it are reported as errors of writing; others may have other causes.
    """
    av = load_av(path.name)
    with ExitStack() as stack:
        with write_errors(path):
            temporary = stack.enter_context(atomic_write(path, overwrite=overwrite))
            container = av.open(str(temporary), "w", muxer, options=dict(options or {}))
        try:
            yield container
        except BaseException:
            with suppress(Exception):  # the file is discarded anyway
                container.close()
            raise
        with write_errors(path):
            container.close()
            flush_to_disk(temporary)
            stack.close()  # moves the file into place
            flush_to_disk(path.parent)


def _set_up_encoder(context: Any, video: Video) -> None:
    context.time_base = video.time_base
    context.max_b_frames = 0  # packets in the order of their frames, so that segments can follow one another
    context.sample_aspect_ratio = video.aspect
    _declare_colors(context, video)


def _declare_colors(context: Any, video: Video) -> None:
    colors = video.colors.written
    context.colorspace, context.color_range = colors.matrix, colors.range
    context.color_primaries, context.color_trc = colors.primaries, colors.transfer


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
        copied_streams: The indexes of the source's streams to copy, from `find_copied_streams`.
        end: The second at which the last frame ends.
        strip_metadata: Whether to omit the title, location, recipe and so on.
        recipe: The recipe by which the video was painted, as JSON; it becomes a line of the comment.
        overwrite: Whether an existing file is replaced.

    Raises:
        ImageError: If a file cannot be read or written.
        OutputExists: If the file exists and `overwrite` is false.
    """
    muxer = VIDEO_FORMATS[output.suffix.lower()].muxer
    is_mp4 = muxer in ("mp4", "mov")
    with ExitStack() as stack:
        source = None if video.is_animation else stack.enter_context(open_video(video.path))
        first = stack.enter_context(open_video(segments[0])).streams.video[0]
        metadata = {} if source is None or strip_metadata else video_metadata(source.metadata)
        options = muxer_flags(muxer, metadata)
        container = stack.enter_context(_new_container(output, muxer, options, overwrite=overwrite))
        with write_errors(output):
            stream = container.add_stream_from_template(first, opaque=True)
            if is_mp4 and (tag := VIDEO_CODECS[first.codec_context.codec.canonical_name].tag):
                stream.codec_context.codec_tag = tag
            _declare_colors(stream.codec_context, video)  # NUT and VP9 do not store all color properties
            if declares_alpha(first.metadata):
                stream.metadata[ALPHA_KEY] = "1"
            packets = _segment_packets(segments, stream, end)
            if not strip_metadata:
                container.metadata.update(with_recipe(metadata, recipe))
            if source is not None:
                if not strip_metadata:
                    copy_chapters(source, container, video, end)
                copies = {source.streams[n]: add_copy(source.streams[n], container) for n in copied_streams}
                packets = merge(packets, copied_packets(source, copies, video), key=decoding_time)
        for packet in packets:
            with write_errors(output):
                container.mux(packet)


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
