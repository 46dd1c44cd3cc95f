"""Loss networks by name: VGG-19, and the compact loss network that ships with the package."""

from collections.abc import Collection, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from stylekit.losses.compact import CompactFeatures
from stylekit.losses.layers import COMPACT_LAYERS, highest_layer
from stylekit.losses.vgg import VggFeatures

LossNetwork = VggFeatures | CompactFeatures
LossWeights = Mapping[str, NDArray[np.float32]]


def highest_layer_of(network: str, weights: LossWeights) -> str:
    """Return the name of the highest layer that a loss network can compute with these weights.

    Raises:
        LossWeightsError: If the network is `vgg19` and the weights are not VGG-19 weights.
    """
    return COMPACT_LAYERS[-1] if network == "compact" else highest_layer(weights)


def build_loss_network(
    network: str, layers: Collection[str], weights: LossWeights, pooling: str = "max"
) -> LossNetwork:
    """Build a loss network, which maps images `(B, 3, H, W)`, RGB in [0, 1], to activations by layer.

    Args:
        network: `vgg19` or `compact`.
        layers: The layers whose activations the network computes.
        weights: The network's weights by name.
        pooling: VGG-19's pooling, `max` or `avg`.

    Raises:
        ConfigError: If the network lacks a layer.
        LossWeightsError: If the weights end before the highest of the layers, or have wrong shapes.
    """
    tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
    return CompactFeatures(layers, tensors) if network == "compact" else VggFeatures(layers, tensors, pooling)
