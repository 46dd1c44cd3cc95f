"""The transformer networks: `(B, 3, H, W)` in, `(B, 3, H, W)` of the same size out, RGB in [0, 1]."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stylekit.networks.architectures import complete_config

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn


def build_network(name: str, config: Mapping[str, Any] | None = None) -> "nn.Module":
    """Build a transformer network with fresh weights.

    Args:
        name: `fast` or `johnson`.
        config: settings that differ from `architectures.NETWORK_DEFAULTS[name]`.

    Raises:
        ConfigError: if the network or a setting is unknown.
    """
    complete = complete_config(name, config or {})
    if name == "johnson":
        from stylekit.networks.johnson.module import Johnson

        return Johnson()
    from stylekit.networks.fast.module import Fast

    return Fast(**complete)


def load_network(
    name: str, config: Mapping[str, Any], weights: "Mapping[str, NDArray[np.floating[Any]]]"
) -> "nn.Module":
    """Build a transformer network with these weights, in float32.

    Raises:
        ConfigError: if the network or a setting is unknown.
    """
    import torch

    network = build_network(name, config)
    network.load_state_dict(
        {key: torch.from_numpy(array.astype("float32")) for key, array in weights.items()}, assign=True
    )
    return network
