"""Build an ONNX graph of `fast`."""

import numpy as np

from stylekit.networks.fast.facts import DOUBLING_TAPS, FAST_BORDER_REST, FAST_VARIANCE_FLOOR, fast_border
from stylekit.networks.onnx_layers import OnnxGraph, shifts


def add_fast(graph: OnnxGraph, channels: int, blocks: int, half_channels: int, full_channels: int) -> None:
    """Add the network's nodes to a graph, from the tensor `photo` to the tensor `picture`; see `Fast`."""

    def layer(x: str, name: str) -> str:
        return graph.norm(graph.convolution(x, f"{name}.convolution"), f"{name}.norm", FAST_VARIANCE_FLOOR)

    x = graph.padded_to_multiple("photo", fast_border(blocks))
    x = unshuffled_and_convolved(graph, x, "stem.convolution", channels)
    x = graph.node("Relu", graph.norm(x, "stem.norm", FAST_VARIANCE_FLOOR))
    for i in range(blocks):
        inner = graph.node("Relu", layer(x, f"blocks.{i}.first"))
        x = graph.node("Add", graph.trimmed(x, 2), graph.convolution(inner, f"blocks.{i}.second"))
    x = low_pass_doubled(graph, graph.convolution(x, "to_half"), half_channels)
    x = graph.node("Relu", graph.convolution(x, "at_half"))
    x = doubled_and_out(graph, graph.convolution(x, "to_full"), full_channels)
    graph.node("Sigmoid", graph.cut_to(x, "photo", FAST_BORDER_REST), output="picture")


def unshuffled_and_convolved(graph: OnnxGraph, x: str, name: str, width: int) -> str:
    """Unshuffle pixels by 4 and convolve, as a single 12x12 convolution with stride 4, without copying the pixels."""
    weight = graph.node("Reshape", graph.parameter(f"{name}.weight"), graph.constant([width, 3, 4, 4, 3, 3]))
    weight = graph.node("Transpose", weight, perm=[0, 1, 4, 2, 5, 3])
    weight = graph.node("Reshape", weight, graph.constant([width, 3, 12, 12]))
    return graph.node("Conv", x, weight, graph.parameter(f"{name}.bias"), strides=[4, 4])


def low_pass_doubled(graph: OnnxGraph, x: str, width: int) -> str:
    """Upsample features 2x with `fast`'s filter, efficiently: by repetition and two convolutions with nine taps."""
    taps, _ = np.polydiv(DOUBLING_TAPS, [1, 1])
    return graph.depthwise(graph.depthwise(graph.doubled(x), taps[:, None], width), taps[None, :], width)


def doubled_and_out(graph: OnnxGraph, x: str, width: int, leak: float = 0.0) -> str:
    """Add the end of `fast` to the graph, computed at half the resolution to save memory.

    The end of `fast` is its last 2x upsampling, ReLU and convolution.
    The doubled features are stored as four quarters, the even and odd rows and columns, each computed by a filter with
    five of the ten taps. A block of 2x2 pixels of the result depends on 4x4 doubled features: 2x2 in each quarter.
    """
    phases = [DOUBLING_TAPS[first::2][::-1] for first in (0, 1)]
    quarters = [
        graph.node("LeakyRelu", graph.depthwise(x, np.outer(rows, columns), width), alpha=leak)
        for rows in phases
        for columns in phases
    ]
    weight, bias = graph.block_kernels("out", shifts(graph.kernel_side("out"), 2))
    weight = graph.node("Reshape", weight, graph.constant([12, width, 2, 2, 2, 2]))
    weight = graph.node("Transpose", weight, perm=[0, 3, 5, 1, 2, 4])
    weight = graph.node("Reshape", weight, graph.constant([12, 4 * width, 2, 2]))
    return graph.depth_to_space(graph.node("Conv", graph.node("Concat", *quarters, axis=1), weight, bias), 2, 3)
