"""Check settings that several commands share. Errors mention the command-line option for a setting."""

from collections.abc import Iterable, Mapping, Sequence

from stylekit.errors import ConfigError
from stylekit.losses.layers import check_loss_layers
from stylekit.system.devices import check_device

ENGINES = ("auto", "torch", "onnxruntime")
POOLINGS = ("max", "avg")
MAX_PIXELS = 500_000_000  # of an image; more are rejected as a decompression bomb
LEAST_TILE = 64  # px: smaller tiles would consist mostly of margins

_OTHER_NAMES = {"learning_rate": "lr", "painting_weights": "style-weights"}


def option_of(setting: str) -> str:
    """Return the command-line option for a setting: `--crop-size` for `crop_size`."""
    return f"--{_OTHER_NAMES.get(setting, setting).replace('_', '-')}"


def require(condition: bool, message: str, hint: str = "") -> None:
    """Raise `ConfigError` unless a condition holds."""
    if not condition:
        raise ConfigError(message, hint)


def alternatives(words: Iterable[str]) -> str:
    """Join words for a sentence: `a`, `a or b`, `a, b or c`."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def check_minimum(setting: str, value: float | None, least: float) -> None:
    """Check that a number is finite and not below a minimum; None is always valid.

    Raises:
        ConfigError: If the number is too small or not finite.
    """
    valid = value is None or least <= value < float("inf")
    require(valid, f"{option_of(setting)} must be {least} or more, not {_number(value)}.")


def check_range(setting: str, value: float | None, least: float, most: float, *, otherwise: Sequence[str] = ()) -> None:
    """Check that a number is within a range; None is always valid.

    Args:
        setting: The name of the setting.
        value: The value of the setting.
        least: The smallest valid value.
        most: The largest valid value.
        otherwise: Words that the option accepts instead of a number, to be listed in the error.

    Raises:
        ConfigError: If the number is out of range.
    """
    valid = value is None or least <= value <= most
    words = f"{', '.join(otherwise)} or " if otherwise else ""
    require(valid, f"{option_of(setting)} must be {words}between {least} and {most}, not {_number(value)}.")


def check_choice(setting: str, value: str, choices: Iterable[str]) -> None:
    """Check that a value is one of several choices.

    Raises:
        ConfigError: If the value is not one of the choices.
    """
    choices = tuple(choices)
    require(value in choices, f"{option_of(setting)} must be {alternatives(choices)}, not {value!r}.")


def _number(value: float | None) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def check_engine(engine: str, device: str, threads: int | None) -> None:
    """Check that an engine exists and runs on a device.

    Args:
        engine: `auto`, `torch` or `onnxruntime`.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        threads: Number of CPU threads, 1 or more; None lets the engine choose.

    Raises:
        ConfigError: If the engine or the device is unknown, the engine does not run on the device, or `threads` is
            less than 1.
    """
    check_choice("engine", engine, ENGINES)
    check_minimum("threads", threads, 1)
    if engine == "onnxruntime" and check_device(device) not in ("auto", "cpu"):
        raise ConfigError(
            f"--engine onnxruntime runs on the CPU only, not on {device}.", "Leave out --engine, or use --device cpu."
        )


def check_quality(quality: int) -> None:
    """Check that the quality of JPEG, WebP, AVIF and HEIC files is between 1 and 100.

    Raises:
        ConfigError: If the quality is out of range.
    """
    check_range("quality", quality, 1, 100)


def check_painting(stroke_size: float | None, strength: float, tile: int | None = None) -> None:
    """Check the settings that control how a style is applied to an image.

    Args:
        stroke_size: Size of the strokes, as a multiple (0.1 to 100) of the size that the network was trained for; None
            adapts it to the image.
        strength: Share of the stylized image in the result, 0 to 1.
        tile: Side of the tiles in pixels, 64 or more; 0 turns tiling off, None chooses by the free memory.

    Raises:
        ConfigError: If a value is out of range.
    """
    check_range("stroke_size", stroke_size, 0.1, 100, otherwise=["auto"])
    check_range("strength", strength, 0, 1)
    valid = tile is None or tile == 0 or tile >= LEAST_TILE
    require(valid, f"--tile must be auto, off or {LEAST_TILE} or more pixels, not {tile}.")


def check_shares(shares: Sequence[float], styles: int) -> None:
    """Check the proportions in which styles are blended.

    Args:
        shares: One number for each style, 0 or more, not all 0.
        styles: The number of styles.

    Raises:
        ConfigError: If a share is missing, negative or not finite, or if all are 0.
    """
    require(len(shares) == styles, f"A blend of {styles} styles needs {styles} shares, not {len(shares)}.")
    require(
        all(share >= 0 for share in shares) and 0 < sum(shares) < float("inf"),
        "The shares of a blend must be 0 or more, and not all 0.",
        "Write a share after the style: --style starry-night:0.7.",
    )


def check_losses(
    network: str,
    content_layers: Sequence[str],
    style_layers: Mapping[str, float],
    pooling: str,
    weights: str | None,
) -> None:
    """Check that a loss network exists and can compute the losses.

    Args:
        network: `vgg19` or `compact`.
        content_layers: Layers of the content loss.
        style_layers: Layers of the style loss with their weights.
        pooling: `max` or `avg`.
        weights: File with weights for the loss network; None uses the standard weights.

    Raises:
        ConfigError: If the network is unknown or lacks a layer, the weight of a layer is negative or not finite, or
            the compact network is combined with average pooling or a file of weights.
    """
    check_loss_layers([*content_layers, *style_layers], network)
    for layer, weight in style_layers.items():
        valid = 0 <= weight < float("inf")
        require(valid, f"The weight of {layer} in --style-layers must be 0 or more, not {weight:g}.")
    check_choice("pooling", pooling, POOLINGS)
    require(
        network != "compact" or (pooling == "max" and weights is None),
        "--loss-network compact has its own weights, trained with max pooling.",
        "Leave out --pooling and --loss-weights, or use --loss-network vgg19.",
    )
