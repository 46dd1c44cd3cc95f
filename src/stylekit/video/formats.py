"""Formats and codecs of videos."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stylekit.errors import ConfigError


@dataclass(frozen=True)
class VideoCodec:
    """How frames are encoded.

    Attributes:
        encoder: FFmpeg's name of the encoder.
        crf: The constant rate factor at which brush strokes survive.
        options: Further options of the encoder.
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
        muxer: FFmpeg's name of the format.
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

_READ_ONLY_SUFFIXES = (".avi", ".flv", ".m2ts", ".mpeg", ".mpg", ".mts", ".ogv", ".wmv", ".3gp")

VIDEO_SUFFIXES: frozenset[str] = frozenset({*VIDEO_FORMATS, *_READ_ONLY_SUFFIXES})

ANIMATION_SUFFIXES: frozenset[str] = frozenset({".gif", ".webp"})


def video_suffix(path: Path) -> str:
    """Return the suffix for a video's result: the video's own, or `.mkv` for formats that are not written.

    Matroska can hold the sound of any of them.
    """
    suffix = path.suffix.lower()
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
