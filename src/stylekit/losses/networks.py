"""Loss networks by name: VGG-19, and the compact one that the package ships."""

from collections.abc import Collection, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from stylekit.losses.compact import CompactFeatures
from stylekit.losses.layers import COMPACT_LAYERS, highest_layer
from stylekit.losses.vgg import VggFeatures

LossNetwork = VggFeatures | CompactFeatures
Weights = Mapping[str, NDArray[np.float32]]


def highest_layer_of(network: str, weights: Weights) -> str:
    """Name the highest of VGG-19's layers that a loss network with these weights has.

    Raises:
        LossWeightsError: if the weights are not those of VGG-19, where they should be.
    """
    return COMPACT_LAYERS[-1] if network == "compact" else highest_layer(weights)


def build_loss_network(network: str, layers: Collection[str], weights: Weights, pooling: str = "max") -> LossNetwork:
    """Return a loss network, which gives activations by layer for `(B, 3, H, W)`, RGB in [0, 1].

    Args:
        network: `vgg19` or `compact`.
        layers: whose activations are wanted.
        weights: by name.
        pooling: of VGG-19: `max` or `avg`.

    Raises:
        ConfigError: if the network has no such layer.
        LossWeightsError: if the weights do not reach as high as the layers, or have wrong shapes.
    """
    tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
    return CompactFeatures(layers, tensors) if network == "compact" else VggFeatures(layers, tensors, pooling)
