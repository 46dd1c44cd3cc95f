"""Choose the trained style that a new training run starts from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stylekit.config.train import TrainConfig
from stylekit.errors import ConfigError
from stylekit.losses.layers import default_style_layers
from stylekit.losses.weights import find_loss_weights, read_loss_weights
from stylekit.networks import architecture
from stylekit.styles.library import locate_style, read_style
from stylekit.styles.locations import bundled_styles_dir
from stylekit.styles.names import SUFFIX
from stylekit.styles.style_file import StyleFile, load_style_file

OnCompared = Callable[[int, int], None]  # called with the number of styles compared so far, and of all styles


@dataclass(frozen=True)
class Start:
    """A style to start from.

    Attributes:
        file: The style's file.
        style: The style's metadata and weights.
    """

    file: Path
    style: StyleFile


def find_start(config: TrainConfig, resumed_from: str | None) -> Start | None:
    """Return the style given in the settings, or the style that a resumed run started from.

    Args:
        config: The training settings.
        resumed_from: For a resumed run, the file name of the style that it started from; see `RunFolder.read_start`.

    Returns:
        The style; None for fresh weights, or if the nearest style has yet to be found.

    Raises:
        StyleNotFound: If the style does not exist.
        StyleFileError: If the style's file is corrupt.
        ConfigError: If the style has another network.
    """
    if config.init_from == "none" or (config.init_from == "nearest" and not resumed_from):
        return None
    file = locate_style(config.init_from) if config.init_from != "nearest" else bundled_styles_dir() / str(resumed_from)
    style = read_style(file)
    if style.metadata.network != config.network:
        raise ConfigError(
            f"{file.name} is a {style.metadata.network} network, not {config.network}.",
            f"Use --network {style.metadata.network}, or start from another style.",
        )
    return Start(file, style)


def find_nearest_start(
    painting: NDArray[np.float32],
    photos: NDArray[np.float32],
    network: str,
    on_note: Callable[[str], None],
    on_compared: OnCompared,
) -> Start | None:
    """Find the bundled style nearest to a painting, and report it; return None if no bundled style has this network.

    See `nearest_style` for the arguments.
    """
    on_note("Looking for the bundled style nearest to the painting …")
    nearest = nearest_style(painting, photos, network, on_compared)
    found = f"{nearest.file.stem}, the bundled style nearest to the painting" if nearest else "fresh weights"
    on_note(f"Starting from {found}.")
    return nearest


def nearest_style(
    painting: NDArray[np.float32],
    photos: NDArray[np.float32],
    network: str,
    on_compared: OnCompared = lambda compared, styles: None,
) -> Start | None:
    """Return the bundled style whose results have the Gram matrices nearest to those of a painting.

    Gram matrices are computed with the compact loss network.

    Args:
        painting: `(H, W, 3)` in [0, 1].
        photos: The photos to apply each style to, `(B, 3, S, S)` in [0, 1].
        network: The transformer network to be trained.
        on_compared: Called before each comparison.

    Returns:
        The style; None if no bundled style has this network.
    """
    import torch

    from stylekit.losses.networks import build_loss_network
    from stylekit.losses.style import GramLoss, StyleStatistics

    bundled = [Start(path, load_style_file(path)) for path in sorted(bundled_styles_dir().glob(f"*{SUFFIX}"))]
    candidates = [start for start in bundled if start.style.metadata.network == network]
    if not candidates:
        return None
    layers = default_style_layers("relu4_1")
    features = build_loss_network("compact", layers, read_loss_weights(find_loss_weights(network="compact")))
    gram = GramLoss()

    def statistics(image: torch.Tensor) -> dict[str, StyleStatistics]:
        activations = features(image, layers)
        return {layer: gram.statistics(activations[layer], mapping=features.maps[layer]) for layer in layers}

    def distance(start: Start) -> float:
        config = start.style.metadata.network_config
        results = architecture(network).load(config, start.style.weights)(torch.from_numpy(photos))
        reached = statistics(results)
        distances = [gram.distance(reached[layer], gram.target(wanted[layer])) for layer in layers]
        return torch.stack(distances).mean().item()

    with torch.no_grad():
        wanted = statistics(torch.from_numpy(np.ascontiguousarray(painting.transpose(2, 0, 1)[None])))
        distances: list[float] = []
        for start in candidates:
            on_compared(len(distances), len(candidates))
            distances.append(distance(start))
    return candidates[int(np.argmin(distances))]
