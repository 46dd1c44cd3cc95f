"""Image formats that can be read and written, and their suffixes."""

from dataclasses import dataclass
from pathlib import Path

from stylekit.errors import ConfigError


@dataclass(frozen=True)
class OutputFormat:
    """A format that can be written, and its limits.

    Attributes:
        pillow: The name of the format in Pillow.
        suffix: The usual suffix.
        longest_side: The maximum number of pixels per side.
        holds_alpha: Whether the format supports transparency.
        most_metadata: The maximum size of EXIF and of XMP in bytes; None if unlimited.
    """

    pillow: str
    suffix: str
    longest_side: int = 2**31 - 1
    holds_alpha: bool = True
    most_metadata: int | None = None


FORMATS: dict[str, OutputFormat] = {
    # libjpeg's limits: the sides, and a segment of 65,533 bytes minus the 29 bytes of the XMP header.
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
    **dict.fromkeys((".heic", ".heif", ".hif"), "heic"),
}
READABLE_SUFFIXES: frozenset[str] = frozenset({*SUFFIX_FORMATS, ".gif"})
READABLE = (
    "Supported image formats: JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF and HEIC. "
    "`apply` recognizes videos by suffixes such as .mp4."
)


def format_of_suffix(suffix: str) -> str:
    """Return the format that a suffix stands for, such as `jpeg` for `.JPG`.

    Raises:
        ConfigError: If images with that suffix cannot be written.
    """
    try:
        return SUFFIX_FORMATS[suffix.lower()]
    except KeyError:
        writable = ", ".join(output.suffix for output in FORMATS.values())
        how = f"as {suffix!r}" if suffix else "without a suffix"
        raise ConfigError(f"Cannot write images {how}.", f"Use one of {writable}.") from None


def output_format(path: Path) -> str:
    """Return the default format for the result of an input.

    The default is the format of the input, except for GIF (PNG, because 256 colors cannot hold a painting), HEIC (JPEG,
    because few programs read HEIC) and unknown suffixes (JPEG).
    """
    suffix = path.suffix.lower()
    if suffix == ".gif":
        return "png"
    own = SUFFIX_FORMATS.get(suffix, "jpeg")
    return "jpeg" if own == "heic" else own


def output_suffix(path: Path, format: str | None) -> str:
    """Return the suffix for the result of an input: the input's suffix in lower case, if it stands for the format.

    Args:
        path: The input.
        format: The format of the result; None uses the format from `output_format`.
    """
    format = format or output_format(path)
    own = path.suffix.lower()
    return own if SUFFIX_FORMATS.get(own) == format else FORMATS[format].suffix
