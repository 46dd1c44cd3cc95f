"""The transformer networks as ONNX graphs: the same layers on the same parameters, without torch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from stylekit.architectures import (
    DOUBLING_TAPS,
    FAST_BORDER_REST,
    FAST_VARIANCE_FLOOR,
    JOHNSON_VARIANCE_FLOOR,
    SIDE_MULTIPLE,
    Statistics,
    complete_config,
    fast_border,
)
from stylekit.networks.onnx_layers import OnnxGraph, OutOfStatistics


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


def _johnson(graph: OnnxGraph) -> None:
    def layer(x: str, convolution: str, norm: str, stride: int = 1) -> str:
        return graph.norm(graph.padded_convolution(x, f"{convolution}.conv2d", stride), norm, JOHNSON_VARIANCE_FLOOR)

    x = graph.node("Mul", graph.padded_to_multiple("photo"), graph.constant(255, np.float32))
    x = graph.node("Relu", layer(x, "conv1", "in1"))
    x = graph.node("Relu", layer(x, "conv2", "in2", stride=2))
    x = graph.node("Relu", layer(x, "conv3", "in3", stride=2))
    for i in range(1, 6):
        inner = graph.node("Relu", layer(x, f"res{i}.conv1", f"res{i}.in1"))
        x = graph.node("Add", x, layer(inner, f"res{i}.conv2", f"res{i}.in2"))
    for name, norm in (("deconv1", "in4"), ("deconv2", "in5")):
        x = _doubled_and_convolved(graph, x, f"{name}.conv2d")
        x = graph.node("Relu", graph.norm(x, norm, JOHNSON_VARIANCE_FLOOR))
    x = _convolved_by_blocks(graph, x, "deconv3.conv2d")
    x = graph.cut_to(x, like="photo")
    graph.node("Div", x, graph.constant(255, np.float32), output="picture")


def _doubled_and_convolved(graph: OnnxGraph, x: str, name: str) -> str:
    """Doubling by repetition, reflection padding and a 3x3 convolution, with 4/9 of the multiplications.

    Each of the four quarters of the result, its even and odd rows and columns, depends on two by two values; where the
    doubled picture goes on by reflection, what was doubled goes on by its edge. Odd rows and columns come first, as
    the valid ones of the convolutions begin and end with one that lies outside and is cut off.
    """
    x = graph.padded(x, 1, "edge")
    sums = [np.array(taps) for taps in ([[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]])]  # which fall on each value
    weight, bias = graph.in_blocks(name, sums)
    return graph.trimmed(graph.blocks_laid_out(graph.node("Conv", x, weight, bias), 2, graph.width(name)), 1)


def _convolved_by_blocks(graph: OnnxGraph, x: str, name: str, side: int = SIDE_MULTIPLE) -> str:
    """A convolution to three channels, as one to all pixels of a block at once: three alone leave vectors empty."""
    weight, bias = graph.in_blocks(name, _shifts(graph.kernel_side(name), side))
    x = graph.node("Conv", graph.padded(x, graph.kernel_side(name) // 2), weight, bias, strides=[side] * 2)
    return graph.blocks_laid_out(x, side, graph.width(name))


def _shifts(kernel: int, side: int) -> list[NDArray[Any]]:
    """The maps that put a kernel's rows or columns at each place of a block."""
    return [np.eye(kernel + side - 1, kernel, -shift) for shift in range(side)]


def _fast(graph: OnnxGraph, channels: int, blocks: int, half_channels: int, full_channels: int) -> None:
    def layer(x: str, name: str) -> str:
        return graph.norm(graph.convolution(x, f"{name}.convolution"), f"{name}.norm", FAST_VARIANCE_FLOOR)

    x = graph.padded_to_multiple("photo", fast_border(blocks))
    x = _unshuffled_and_convolved(graph, x, "stem.convolution", channels)
    x = graph.node("Relu", graph.norm(x, "stem.norm", FAST_VARIANCE_FLOOR))
    for i in range(blocks):
        inner = graph.node("Relu", layer(x, f"blocks.{i}.first"))
        x = graph.node("Add", graph.trimmed(x, 2), graph.convolution(inner, f"blocks.{i}.second"))
    x = _low_pass_doubled(graph, graph.convolution(x, "to_half"), half_channels)
    x = graph.node("Relu", graph.convolution(x, "at_half"))
    x = _doubled_and_out(graph, graph.convolution(x, "to_full"), full_channels)
    graph.node("Sigmoid", graph.cut_to(x, "photo", FAST_BORDER_REST), output="picture")


def _unshuffled_and_convolved(graph: OnnxGraph, x: str, name: str, width: int) -> str:
    """Pixel-unshuffle by 4 and `fast`'s first convolution, as one of 12 x 12 pixels at steps of 4: nothing is moved."""
    weight = graph.node("Reshape", graph.parameter(f"{name}.weight"), graph.constant([width, 3, 4, 4, 3, 3]))
    weight = graph.node("Transpose", weight, perm=[0, 1, 4, 2, 5, 3])
    weight = graph.node("Reshape", weight, graph.constant([width, 3, 12, 12]))
    return graph.node("Conv", x, weight, graph.parameter(f"{name}.bias"), strides=[4, 4])


def _low_pass_doubled(graph: OnnxGraph, x: str, width: int) -> str:
    """`fast`'s doubling. Its filter is that of repeating each value, and nine taps: convolutions that runtimes love."""
    taps, _ = np.polydiv(DOUBLING_TAPS, [1, 1])
    return graph.depthwise(graph.depthwise(graph.doubled(x), taps[:, None], width), taps[None, :], width)


def _doubled_and_out(graph: OnnxGraph, x: str, width: int) -> str:
    """`fast`'s last doubling, ReLU and convolution, at half the resolution: nothing wide is ever as large as the photo.

    The doubled picture is held as the four quarters of its even and odd rows and columns, each made by a filter of
    five of the ten taps. Four pixels of the result then depend on a square of four by four pixels: on two by two places
    in each quarter.
    """
    phases = [DOUBLING_TAPS[first::2][::-1] for first in (0, 1)]
    quarters = [
        graph.node("Relu", graph.depthwise(x, np.outer(rows, columns), width)) for rows in phases for columns in phases
    ]
    weight, bias = graph.in_blocks("out", _shifts(graph.kernel_side("out"), 2))
    weight = graph.node("Reshape", weight, graph.constant([12, width, 2, 2, 2, 2]))
    weight = graph.node("Transpose", weight, perm=[0, 3, 5, 1, 2, 4])
    weight = graph.node("Reshape", weight, graph.constant([12, 4 * width, 2, 2]))
    return graph.blocks_laid_out(graph.node("Conv", graph.node("Concat", *quarters, axis=1), weight, bias), 2, 3)
