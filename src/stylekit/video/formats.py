"""Formats and codecs of videos."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stylekit.errors import ConfigError


@dataclass(frozen=True)
class VideoCodec:
    """How frames are encoded.

    Attributes:
        encoder: FFmpeg's name for the encoder.
        crf: The default constant rate factor, low enough to preserve brush strokes.
        options: Further options for the encoder.
        tag: The codec tag that Apple's players expect in MP4; empty for FFmpeg's default.
    """

    encoder: str
    crf: int
    options: Mapping[str, str] = field(default_factory=dict)
    tag: str = ""


VIDEO_CODECS = {
    # Fast presets, which leave the CPU to the network.
    "h264": VideoCodec("libx264", 18, {"preset": "superfast"}),
    "hevc": VideoCodec("libx265", 20, {"preset": "veryfast", "x265-params": "log-level=none"}, tag="hvc1"),
    "vp9": VideoCodec("libvpx-vp9", 24, {"b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}),
}


@dataclass(frozen=True)
class VideoFormat:
    """A container format.

    Attributes:
        muxer: FFmpeg's name for the format.
        codec: The default codec.
        codecs: The codecs that the format can hold.
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

ALPHA_MUXERS = ("matroska", "webm")  # the formats in which VP9 can have alpha

_READ_ONLY_SUFFIXES = (
    *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m2t", ".m2ts", ".mod", ".mpe", ".mpeg", ".mpg"),
    *(".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".tod", ".ts", ".vob", ".wmv"),
)

_PHONE_SUFFIXES = (".3g2", ".3gp")

VIDEO_SUFFIXES: frozenset[str] = frozenset({*VIDEO_FORMATS, *_READ_ONLY_SUFFIXES})

ANIMATION_SUFFIXES: frozenset[str] = frozenset({".gif", ".webp"})


def video_suffix(path: Path) -> str:
    """Return the suffix for the result of a video: the video's own, or another one if its format is only read.

    Matroska can hold the sound of all these formats but 3GP, whose sound (AMR) QuickTime can hold.
    """
    suffix = path.suffix.lower()
    if suffix in _PHONE_SUFFIXES:
        return ".mov"
    return suffix if suffix in VIDEO_FORMATS or suffix in ANIMATION_SUFFIXES else ".mkv"


def video_codec(path: Path, codec: str) -> str:
    """Return the codec for a video file.

    Args:
        path: The file, whose suffix is a key of `VIDEO_FORMATS`.
        codec: A key of `VIDEO_CODECS`, or `auto` for the format's default.

    Raises:
        ConfigError: If the format cannot hold the codec.
    """
    format = VIDEO_FORMATS[path.suffix.lower()]
    if codec == "auto":
        return format.codec
    if codec not in format.codecs:
        codecs = " or ".join(format.codecs)
        raise ConfigError(
            f"--codec must be {codecs} for {path.suffix} files, not {codec}.",
            f"Use --codec {codecs}, or another suffix for --output.",
        )
    return codec
