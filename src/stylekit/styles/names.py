"""Check style names, and recognize paths given in place of a name."""

import re
from pathlib import Path

from stylekit.errors import ConfigError

SUFFIX = ".safetensors"
# `.model` is the suffix of the files that the training script in pytorch/examples writes.
IMPORTABLE_SUFFIXES = (".pth", ".pt", ".pth.tar", ".ckpt", ".model", ".onnx")

STYLE_NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
STYLE_NAME_RULE = "up to 64 lower-case letters, digits, '-' and '_', beginning with a letter or digit"


def check_style_name(name: str) -> str:
    """Return `name` unchanged if it is a valid style name.

    Raises:
        ConfigError: If the name does not match `[a-z0-9][a-z0-9_-]{0,63}`.
    """
    if not STYLE_NAME_PATTERN.fullmatch(name):
        raise ConfigError(f"Invalid style name {name!r}.", f"Use {STYLE_NAME_RULE}.")
    return name


def is_path(style: str) -> bool:
    """Return whether a style argument is a path: it has a separator or a weights file's suffix."""
    return "/" in style or "\\" in style or weights_suffix(Path(style)) != ""


def weights_suffix(path: Path) -> str:
    """Return the suffix of a style file or of importable weights, in lower case, or '' for any other file."""
    suffixes = (suffix for suffix in (SUFFIX, *IMPORTABLE_SUFFIXES) if path.name.lower().endswith(suffix))
    return max(suffixes, key=len, default="")


def style_label(style: str) -> str:
    """Return the label of a style argument in file names: a name unchanged, a path without folder and suffix."""
    if not is_path(style):
        return style
    path = Path(style)
    suffix = weights_suffix(path) or path.suffix
    return path.name[: len(path.name) - len(suffix)]
