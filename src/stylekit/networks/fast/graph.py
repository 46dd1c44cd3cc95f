"""`fast` as an ONNX graph."""

import numpy as np

from stylekit.networks.fast.facts import DOUBLING_TAPS, FAST_BORDER_REST, FAST_VARIANCE_FLOOR, fast_border
from stylekit.networks.onnx_layers import OnnxGraph, shifts


def add_fast(graph: OnnxGraph, channels: int, blocks: int, half_channels: int, full_channels: int) -> None:
    """Add the network; see `Architecture`."""

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
    weight, bias = graph.in_blocks("out", shifts(graph.kernel_side("out"), 2))
    weight = graph.node("Reshape", weight, graph.constant([12, width, 2, 2, 2, 2]))
    weight = graph.node("Transpose", weight, perm=[0, 3, 5, 1, 2, 4])
    weight = graph.node("Reshape", weight, graph.constant([12, 4 * width, 2, 2]))
    return graph.blocks_laid_out(graph.node("Conv", graph.node("Concat", *quarters, axis=1), weight, bias), 2, 3)
