"""`johnson` as an ONNX graph."""

import numpy as np

from stylekit.networks.johnson.facts import JOHNSON_VARIANCE_FLOOR
from stylekit.networks.onnx_layers import OnnxGraph, shifts
from stylekit.networks.shapes import SIDE_MULTIPLE


def add_johnson(graph: OnnxGraph) -> None:
    """Add the network; see `Architecture`."""

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
    weight, bias = graph.in_blocks(name, shifts(graph.kernel_side(name), side))
    x = graph.node("Conv", graph.padded(x, graph.kernel_side(name) // 2), weight, bias, strides=[side] * 2)
    return graph.blocks_laid_out(x, side, graph.width(name))
