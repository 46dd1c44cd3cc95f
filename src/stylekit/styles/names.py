"""Names of styles, and paths in a name's place."""

import re
from pathlib import Path

from stylekit.errors import ConfigError

STYLE_NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def check_style_name(name: str) -> str:
    """Return `name` if it can name a style.

    Raises:
        ConfigError: if it does not match `[a-z0-9][a-z0-9_-]{0,63}`.
    """
    if not STYLE_NAME_PATTERN.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot name a style.",
            "Use up to 64 lower-case letters, digits, '-' and '_', beginning with a letter or digit.",
        )
    return name


def is_path(style: str) -> bool:
    """Tell whether a style argument is a path: it has a separator or a weights file's suffix."""
    return "/" in style or "\\" in style or Path(style).suffix.lower() in {SUFFIX, *IMPORTABLE_SUFFIXES}


def style_label(style: str) -> str:
    """Return the name that stands for a style argument in output file names: a name itself, a path's stem."""
    return Path(style).stem if is_path(style) else style


SUFFIX = ".safetensors"

IMPORTABLE_SUFFIXES = (".pth", ".pt", ".onnx")
