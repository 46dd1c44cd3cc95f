"""What benchmarks share: johnson as plain scripts run it, and timings that other load on the machine affects alike."""

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np
from torch import nn

from stylekit.networks import architecture
from stylekit.styles.style_file import StyleFile, StyleMetadata


def random_style(network: str) -> StyleFile:
    """Return a style with fresh weights that keep the scale of activations."""
    random = np.random.default_rng(0)
    weights = {
        name: random.normal(0, np.prod(shape[1:]) ** -0.5, shape).astype(np.float32)
        for name, shape in architecture(network).parameter_shapes({}).items()
    }
    return StyleFile(StyleMetadata(name=network, network=network), weights)


def plain_network(file: StyleFile) -> nn.Module:
    """Build a network as plain scripts do: eager, in the default layout.

    It stays in training mode, in which its instance norms are the same and nothing is rearranged.
    """
    return architecture(file.metadata.network).load(file.metadata.network_config, file.weights).requires_grad_(False)


def seconds(call: Callable[[], object]) -> float:
    """Return how many seconds a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def median_seconds(calls: Mapping[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Return each call's median seconds; the calls take turns, and the first round does not count."""
    rounds = [{name: seconds(call) for name, call in calls.items()} for _ in range(runs + 1)][1:]
    return {name: statistics.median(times[name] for times in rounds) for name in calls}
