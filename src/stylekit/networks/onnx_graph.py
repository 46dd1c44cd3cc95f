"""The transformer networks as ONNX graphs: the same layers on the same parameters, without torch."""

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from numpy.typing import NDArray

from stylekit.networks.architectures import complete_config
from stylekit.networks.fast.graph import _fast
from stylekit.networks.johnson.graph import _johnson
from stylekit.networks.onnx_layers import OnnxGraph, OutOfStatistics
from stylekit.networks.shapes import Statistics


def build_graph(
    network: str,
    config: Mapping[str, Any],
    weights: Mapping[str, NDArray[Any]],
    norms: Sequence[Statistics] | None = None,
    *,
    smooths: bool = False,
) -> onnx.ModelProto:
    """Build a network as an ONNX graph, `photo` -> `picture`: `(B, 3, H, W)`, RGB in [0, 1], any height and width.

    Args:
        network: `fast` or `johnson`.
        config: settings that differ from `architectures.NETWORK_DEFAULTS[network]`.
        weights: the network's parameters by name.
        norms: mean and variance of each channel for the network's normalisations, in their order, instead of the
            picture's own. If they are fewer than the network has, the graph ends before the first one without, and is
            `photo` -> `features`.
        smooths: whether the graph, of one photo, also takes for each normalisation the mean and the variance that it
            used last, `last_N` `(2, C, 1, 1)`, and how much of them goes into those that it uses now, `share`, and
            gives the latter, `used_N`.

    Raises:
        ConfigError: if the network or a setting is unknown.
    """
    complete = complete_config(network, config)
    graph = OnnxGraph(weights, norms, smooths)
    try:
        if network == "johnson":
            _johnson(graph)
        else:
            _fast(graph, **complete)
    except OutOfStatistics as end:
        return graph.model(graph.node("Identity", end.x, output="features"))
    return graph.model("picture")
