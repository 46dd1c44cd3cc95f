"""Formats and codecs of videos."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stylekit.errors import ConfigError


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
    """A kind of file that holds a video.

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
    """Return the suffix of a video's result: its own, or `.mkv`, which holds any sound, where that is outdated."""
    suffix = path.suffix.lower()
    return suffix if suffix in VIDEO_FORMATS or suffix in ANIMATION_SUFFIXES else ".mkv"


def video_codec(path: Path, codec: str) -> str:
    """Return what a video is coded by: what was asked for, if its file can hold that.

    Args:
        path: the video's file.
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
