"""Which finished style a training had best begin with."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stylekit.losses.layers import default_style_layers
from stylekit.losses.networks import build_loss_network
from stylekit.losses.style import STYLE_LOSSES, Statistics
from stylekit.losses.weights import find_loss_weights, read_loss_weights
from stylekit.networks import architecture
from stylekit.styles.locations import bundled_styles_dir
from stylekit.styles.names import SUFFIX
from stylekit.styles.style_file import load_style_file


@torch.no_grad()
def nearest_style(painting: NDArray[np.float32], photos: NDArray[np.float32], network: str) -> Path | None:
    """Find the bundled style whose pictures have Gram matrices nearest to a painting's, as the compact network sees it.

    Args:
        painting: `(H, W, 3)` in [0, 1].
        photos: `(B, 3, S, S)` in [0, 1], on which styles are tried.
        network: the transformer network that is to be trained.

    Returns:
        The style's file; None where no bundled style has this network.
    """
    bundled = {path: load_style_file(path) for path in sorted(bundled_styles_dir().glob(f"*{SUFFIX}"))}
    styles = {path: style for path, style in bundled.items() if style.metadata.network == network}
    if not styles:
        return None
    layers = default_style_layers("relu4_1")
    features = build_loss_network("compact", layers, read_loss_weights(find_loss_weights(network="compact")))
    gram = STYLE_LOSSES["gram"]

    def statistics(picture: Tensor) -> dict[str, Statistics]:
        activations: dict[str, Tensor] = features(picture, layers)
        return {layer: gram.statistics(activations[layer], mapping=features.maps[layer]) for layer in layers}

    wanted = statistics(torch.from_numpy(np.ascontiguousarray(painting.transpose(2, 0, 1)[None])))

    def distance(path: Path) -> float:
        about = styles[path].metadata
        transformer = architecture(about.network).load(about.network_config, styles[path].weights)
        reached = statistics(transformer(torch.from_numpy(photos)))
        apart = [gram.distance(reached[layer], gram.target(wanted[layer])) for layer in layers]
        return torch.stack(apart).mean().item()

    return min(styles, key=distance)
