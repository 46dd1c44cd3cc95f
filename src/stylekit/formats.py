"""Which formats pictures are read and written in, and which suffixes they have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stylekit.errors import ConfigError


@dataclass(frozen=True)
class OutputFormat:
    """What one of the formats that can be written is like.

    Attributes:
        pillow: Pillow's name of it.
        suffix: its usual suffix.
        longest_side: pixels that a side can have.
        holds_alpha: whether it has a place for transparency.
        most_metadata: bytes that EXIF, and XMP, can have; None for any number.
    """

    pillow: str
    suffix: str
    longest_side: int = 2**31 - 1
    holds_alpha: bool = True
    most_metadata: int | None = None


FORMATS: dict[str, OutputFormat] = {
    # libjpeg's limits: the side, and a segment of 65,533 bytes less XMP's heading of 29.
    "jpeg": OutputFormat("JPEG", ".jpg", longest_side=65_500, holds_alpha=False, most_metadata=65_504),
    "png": OutputFormat("PNG", ".png"),
    "webp": OutputFormat("WEBP", ".webp", longest_side=16_383),
    "tiff": OutputFormat("TIFF", ".tif"),
    "bmp": OutputFormat("BMP", ".bmp", holds_alpha=False, most_metadata=0),
    "avif": OutputFormat("AVIF", ".avif", longest_side=65_536),
    "heic": OutputFormat("HEIF", ".heic", longest_side=65_535),
}
SUFFIX_FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "jpeg"),
    ".png": "png",
    ".webp": "webp",
    **dict.fromkeys((".tif", ".tiff"), "tiff"),
    ".bmp": "bmp",
    ".avif": "avif",
    **dict.fromkeys((".heic", ".heif"), "heic"),
}
READABLE_SUFFIXES: frozenset[str] = frozenset({*SUFFIX_FORMATS, ".gif"})
READABLE = "Readable are JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF and HEIC; `apply` reads films by their suffix, as .mp4."


@dataclass(frozen=True)
class VideoCodec:
    """A way to code moving pictures.

    Attributes:
        encoder: FFmpeg's name of it.
        crf: the constant rate factor at which strokes are kept.
        options: what else the encoder is told.
        tag: what Apple's players know it by in MP4; empty for the usual.
    """

    encoder: str
    crf: int
    options: Mapping[str, str] = field(default_factory=dict)
    tag: str = ""


VIDEO_CODECS = {
    # Presets that leave a CPU to the network.
    "h264": VideoCodec("libx264", 18, {"preset": "superfast"}),
    "hevc": VideoCodec("libx265", 20, {"preset": "veryfast", "x265-params": "log-level=none"}, tag="hvc1"),
    "vp9": VideoCodec("libvpx-vp9", 24, {"b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}),
}


@dataclass(frozen=True)
class VideoFormat:
    """A kind of file that holds a film.

    Attributes:
        muxer: FFmpeg's name of it.
        codec: what moving pictures are coded by where nothing else is asked for.
        codecs: what they can be coded by.
    """

    muxer: str
    codec: str = "h264"
    codecs: tuple[str, ...] = tuple(VIDEO_CODECS)


VIDEO_FORMATS = {
    **dict.fromkeys((".mp4", ".m4v"), VideoFormat("mp4")),
    ".mov": VideoFormat("mov", codecs=("h264", "hevc")),
    ".mkv": VideoFormat("matroska"),
    ".webm": VideoFormat("webm", "vp9", ("vp9",)),
}
_OLD_VIDEO_SUFFIXES = (".avi", ".flv", ".m2ts", ".mpeg", ".mpg", ".mts", ".ogv", ".wmv", ".3gp")
VIDEO_SUFFIXES: frozenset[str] = frozenset({*VIDEO_FORMATS, *_OLD_VIDEO_SUFFIXES})
ANIMATION_SUFFIXES: frozenset[str] = frozenset({".gif", ".webp"})


def video_suffix(path: Path) -> str:
    """Return the suffix of the result for a film: its own, or `.mkv`, which holds any sound, where that is outdated."""
    suffix = path.suffix.lower()
    return suffix if suffix in VIDEO_FORMATS or suffix in ANIMATION_SUFFIXES else ".mkv"


def video_codec(path: Path, codec: str) -> str:
    """Return what a film is coded by: what was asked for, if its file can hold that.

    Args:
        path: the film's file.
        codec: a key of `VIDEO_CODECS`, or `auto`.

    Raises:
        ConfigError: if it cannot.
    """
    format = VIDEO_FORMATS[path.suffix.lower()]
    if codec == "auto":
        return format.codec
    if codec not in format.codecs:
        raise ConfigError(
            f"{path.suffix} files hold no {codec}.", f"Use --codec {' or '.join(format.codecs)}, or another suffix."
        )
    return codec


def format_of_suffix(suffix: str) -> str:
    """Return the format that a suffix asks for: `.JPG` gives `jpeg`.

    Raises:
        ConfigError: if pictures of that suffix cannot be written.
    """
    try:
        return SUFFIX_FORMATS[suffix.lower()]
    except KeyError:
        writable = ", ".join(output.suffix for output in FORMATS.values())
        raise ConfigError(f"Pictures cannot be written as {suffix!r}.", f"Use one of {writable}.") from None


def output_format(path: Path) -> str:
    """Return the format in which the result for an input is written, unless another one is asked for.

    It is the input's own, but PNG for GIF (256 colours hold no painting), and JPEG for HEIC (few programs read it) and
    for suffixes that tell nothing.
    """
    suffix = path.suffix.lower()
    if suffix == ".gif":
        return "png"
    own = SUFFIX_FORMATS.get(suffix, "jpeg")
    return "jpeg" if own == "heic" else own


def output_suffix(path: Path, format: str | None) -> str:
    """Return the suffix of the result for an input: the input's own, lower-cased, if it stands for the format.

    Args:
        path: the input.
        format: the result's format; None takes that of `output_format`.
    """
    format = format or output_format(path)
    own = path.suffix.lower()
    return own if SUFFIX_FORMATS.get(own) == format else FORMATS[format].suffix
