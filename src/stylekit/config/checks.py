"""Every setting and its default, once. The command line reads its defaults from here."""

from collections.abc import Mapping, Sequence

from stylekit.errors import ConfigError
from stylekit.losses.layers import check_loss_layers
from stylekit.system.devices import check_device

ENGINES = ("auto", "torch", "onnxruntime")
POOLINGS = ("max", "avg")
LEAST_TILE = 64  # px: smaller ones would consist of their surroundings


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def check_engine(engine: str, device: str, threads: int | None) -> None:
    """Make sure that a network can be run so.

    Raises:
        ConfigError: if there is no such engine or device, the engine cannot run on it, or there are no threads.
    """
    _require(engine in ENGINES, f"engine must be {', '.join(ENGINES)}, not {engine!r}.")
    _require(threads is None or threads >= 1, f"threads must be 1 or more, not {threads}.")
    if engine == "onnxruntime" and check_device(device) not in ("auto", "cpu"):
        raise ConfigError("The engine onnxruntime runs on the CPU.", "Leave out --engine, or use --device cpu.")


def check_quality(quality: int) -> None:
    """Make sure that pictures can be written at this quality.

    Raises:
        ConfigError: if it is out of its range.
    """
    _require(1 <= quality <= 100, f"quality must lie between 1 and 100, not {quality}.")


def check_painting(stroke_size: float | None, strength: float, tile: int | None = None) -> None:
    """Make sure that a style can be put on a photo so.

    Raises:
        ConfigError: if one of them is out of its range.
    """
    _require(
        stroke_size is None or 0.1 <= stroke_size <= 100,
        f"stroke size must lie between 0.1 and 100, or be auto, not {stroke_size}.",
    )
    _require(0 <= strength <= 1, f"strength must lie between 0 and 1, not {strength:g}.")
    _require(
        tile is None or tile == 0 or tile >= LEAST_TILE,
        f"tiles must have a side of {LEAST_TILE} px or more, or be auto or off, not {tile}.",
    )


def check_shares(shares: Sequence[float], styles: int) -> None:
    """Make sure that so many styles can be mixed in these proportions.

    Raises:
        ConfigError: if a share is missing, negative or not finite, or none is positive.
    """
    if len(shares) != styles:
        raise ConfigError(f"A blend of {styles} styles needs as many shares, not {len(shares)}.")
    if not all(share >= 0 for share in shares) or not 0 < sum(shares) < float("inf"):
        raise ConfigError(
            "A blend's shares must be numbers of 0 or more, not all 0.", "Write them as --style starry-night:0.7."
        )


def check_losses(
    network: str,
    content_layers: Sequence[str],
    style_layers: Mapping[str, float],
    pooling: str,
    weights: str | None,
) -> None:
    """Make sure that a loss network can give such losses.

    Raises:
        ConfigError: if there is no such network, it lacks a layer, a layer's weight is negative or not finite, or the
            compact network is to have other pooling or weights than its own.
    """
    check_loss_layers([*content_layers, *style_layers], network)
    _require(
        all(0 <= weight < float("inf") for weight in style_layers.values()),
        "style layer weights must be finite numbers of 0 or more.",
    )
    _require(pooling in POOLINGS, f"pooling must be max or avg, not {pooling!r}.")
    if network == "compact" and (pooling != "max" or weights is not None):
        raise ConfigError(
            "The compact loss network has its own weights, made for max pooling.",
            "Leave out --pooling and --loss-weights, or add --loss-network vgg19.",
        )
