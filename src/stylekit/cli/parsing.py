"""Parsers for option values that are not plain numbers."""

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from stylekit.config.checks import alternatives
from stylekit.errors import ConfigError, ImageError
from stylekit.images.formats import FORMATS, SUFFIX_FORMATS


def check_images(paths: Iterable[Path]) -> None:
    """Check that images exist, before torch is loaded or weights are downloaded.

    Other problems show when an image is read.

    Raises:
        ImageError: If a path does not exist or is a folder.
    """
    for path in paths:
        with contextlib.suppress(OSError):
            if stat.S_ISDIR(_status(path).st_mode):
                raise ImageError(f"{path} is a folder.", "Give an image in it.")


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist.", "Check the path.") from None


def parse_shares(styles: list[str]) -> tuple[list[str], list[float]]:
    """Split every `NAME:SHARE` of a blend into names and shares.

    Raises:
        ConfigError: If there is only one style.
    """
    if len(styles) == 1:
        raise ConfigError("--blend needs two or more styles.", "Repeat --style NAME:SHARE for each style.")
    parts = [parse_share(style) for style in styles]
    return [name for name, _ in parts], [share for _, share in parts]


def parse_share(style: str) -> tuple[str, float]:
    """Split `NAME:SHARE` into name and share; a `NAME` alone has a share of 1."""
    name, _, share = style.rpartition(":")
    try:
        return name, float(share)
    except ValueError:
        return style, 1.0


def parse_stroke_size(text: str) -> float | None:
    """Parse a stroke size: a number, or `auto`, which returns None.

    Raises:
        ConfigError: If it is neither.
    """
    try:
        return None if text == "auto" else float(text)
    except ValueError:
        raise ConfigError(f"--stroke-size must be auto or a number, not {text!r}.") from None


def parse_tile(text: str) -> int | None:
    """Parse a tile size: a whole number, `auto`, which returns None, or `off`, which returns 0.

    Raises:
        ConfigError: If it is none of these.
    """
    if text == "off":
        return 0
    try:
        return None if text == "auto" else int(text)
    except ValueError:
        raise ConfigError(f"--tile must be auto, off or a whole number, not {text!r}.") from None


def parse_format(text: str) -> str:
    """Parse the name or suffix of an image format: `jpg` returns `jpeg`.

    Raises:
        ConfigError: If images cannot be written in it.
    """
    try:
        return SUFFIX_FORMATS[f".{text.lower()}"]
    except KeyError:
        raise ConfigError(f"--format must be {alternatives(FORMATS)}, not {text!r}.") from None


def parse_time(text: str, option: str) -> float:
    """Parse a time in a video, written as `90.5`, `1:30.5` or `0:01:30.5`, and return it in seconds.

    Raises:
        ConfigError: If it is not a time; the message names the option.
    """
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or not all(part >= 0 for part in parts):
        raise ConfigError(f"{option} must be a time such as 90.5 or 1:30.5, not {text!r}.")
    return sum(part * 60.0**power for power, part in enumerate(reversed(parts)))


def parse_layers(text: str) -> dict[str, float]:
    """Parse layers with optional weights: `relu1_1,relu2_1:0.5` returns `{"relu1_1": 1.0, "relu2_1": 0.5}`.

    Raises:
        ConfigError: If a weight is not a number.
    """
    layers = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, weight = part.partition(":")
        try:
            layers[name.strip()] = float(weight or 1)
        except ValueError:
            raise ConfigError(
                f"Invalid layer weight {weight!r}.", "Write layers and weights like this: relu1_1,relu2_1:0.5."
            ) from None
    return layers


def parse_content_layers(text: str) -> tuple[str, ...]:
    """Parse the layers of the content loss, which take no weights: `relu3_3,relu4_2`.

    Raises:
        ConfigError: If a layer has a weight.
    """
    if ":" in text:
        raise ConfigError(
            f"--content-layers takes no weights, but got {text!r}.",
            "Pass layer names only, for example: relu3_3,relu4_2",
        )
    return tuple(parse_layers(text))
