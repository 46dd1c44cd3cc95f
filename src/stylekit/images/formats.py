"""Which formats pictures are read and written in, and which suffixes they have."""

from dataclasses import dataclass
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
READABLE = "Readable are JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF and HEIC; `apply` reads videos by their suffix, as .mp4."


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
