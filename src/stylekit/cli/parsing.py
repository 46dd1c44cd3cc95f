"""Values of arguments and options that are more than plain numbers."""

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from stylekit.errors import ConfigError, ImageError


def check_pictures(paths: Iterable[Path]) -> None:
    """See that pictures are there before torch is loaded or weights are fetched; whoever reads them tells the rest."""
    for path in paths:
        with contextlib.suppress(OSError):
            if stat.S_ISDIR(_status(path).st_mode):
                raise ImageError(f"{path} is a folder.", "Name a picture in it.")


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist.", "Check the path.") from None


def parse_shares(styles: list[str]) -> tuple[list[str], list[float]]:
    """Split `NAME:SHARE`, where a share is 1 unless given."""
    if len(styles) == 1:
        raise ConfigError("A blend needs two styles or more.", "Add --style NAME:SHARE for each.")
    parts = [parse_share(style) for style in styles]
    return [name for name, _ in parts], [share for _, share in parts]


def parse_share(style: str) -> tuple[str, float]:
    """Split one of them."""
    name, _, share = style.rpartition(":")
    try:
        return name, float(share)
    except ValueError:
        return style, 1.0


def parse_stroke_size(text: str) -> float | None:
    """Read `auto` or a number."""
    try:
        return None if text == "auto" else float(text)
    except ValueError:
        raise ConfigError(f"The stroke size must be auto or a number, not {text!r}.") from None


def parse_tile(text: str) -> int | None:
    """Read `auto`, `off` or a whole number."""
    if text == "off":
        return 0
    try:
        return None if text == "auto" else int(text)
    except ValueError:
        raise ConfigError(f"The tile size must be auto, off or a whole number, not {text!r}.") from None


def parse_time(text: str) -> float:
    """Read a time in a video: seconds, or minutes and hours before them, as `1:02:03.5`."""
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or not all(part >= 0 for part in parts):
        raise ConfigError(f"{text!r} is no time.", "Write seconds, or 1:02:03.5.")
    return sum(part * 60.0**power for power, part in enumerate(reversed(parts)))


def parse_layers(text: str) -> dict[str, float]:
    """Read layers with optional weights: `relu1_1,relu2_1:0.5` gives `{"relu1_1": 1.0, "relu2_1": 0.5}`.

    Raises:
        ConfigError: if a weight is no number.
    """
    layers = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, weight = part.partition(":")
        try:
            layers[name.strip()] = float(weight or 1)
        except ValueError:
            raise ConfigError(f"{weight!r} is not a layer's weight.", "Write layers as relu1_1,relu2_1:0.5.") from None
    return layers
