"""The recipe by which an image was optimized, as JSON for its metadata; `stylekit apply` writes a similar one."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stylekit._version import __version__
from stylekit.config.gatys import STARTS, GatysConfig
from stylekit.images.errors import read_errors
from stylekit.system.files import file_hash

# The settings that change the result; `device`, for example, does not.
_OPTIONS = (
    *("size", "steps", "optimizer", "style_scale", "style_loss", "content_layers", "style_layers"),
    *("content_weight", "style_weight", "tv_weight", "pooling", "keep_colors", "loss_network"),
)


def gatys_recipe(paintings: Sequence[Path], config: GatysConfig, *, mask: Path | None = None) -> str:
    """Return the recipe of an optimized image, as JSON in ASCII.

    Args:
        paintings: The files of the style images; the recipe contains their names and checksums.
        config: The settings.
        mask: The file of the mask; the recipe contains only its name.

    Raises:
        ImageError: If a painting cannot be read.
    """
    weights = config.painting_weights or (1.0,) * len(paintings)
    shares = (round(weight / sum(weights), 4) for weight in weights)
    styles = [
        {"name": path.name, "painting_sha256": _checksum(path), "share": share}
        for path, share in zip(paintings, shares, strict=True)
    ]
    options: dict[str, Any] = {name: value for name in _OPTIONS if (value := getattr(config, name)) not in ((), {})}
    options["init"] = config.init if config.init in STARTS else Path(config.init).name
    if config.init == "noise":
        options["seed"] = config.seed
    if config.optimizer == "adam":
        options["learning_rate"] = config.learning_rate
    if mask is not None:
        options["mask"] = mask.name
    return json.dumps({"stylekit": __version__, "method": "gatys", "styles": styles, "options": options})


def _checksum(path: Path) -> str:
    with read_errors(path.name):
        return file_hash(path)
