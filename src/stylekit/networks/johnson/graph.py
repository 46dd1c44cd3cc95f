"""Build an ONNX graph of `johnson`."""

import numpy as np

from stylekit.networks.johnson.facts import JOHNSON_VARIANCE_FLOOR
from stylekit.networks.onnx_layers import OnnxGraph, shifts
from stylekit.networks.shapes import SIDE_MULTIPLE


def add_johnson(graph: OnnxGraph) -> None:
    """Add the network's nodes to a graph, from the tensor `photo` to the tensor `picture`."""

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
    """Upsample 2x by repetition, pad by reflection and convolve with 3x3 kernels, with 4/9 of the multiplications.

    The result is computed in four quarters, the even and odd rows and columns, where each pixel depends on 2x2
    features. Reflecting the doubled features is the same as repeating the edge of the original features. Odd rows and
    columns come first, because the results begin and end with a row and a column outside the image, which are cropped.
    """
    x = graph.padded(x, 1, "edge")
    # Maps that sum the taps that meet the same feature, for odd and for even rows or columns.
    sums = [np.array(taps) for taps in ([[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]])]
    weight, bias = graph.block_kernels(name, sums)
    return graph.trimmed(graph.depth_to_space(graph.node("Conv", x, weight, bias), 2, graph.width(name)), 1)


def _convolved_by_blocks(graph: OnnxGraph, x: str, name: str, side: int = SIDE_MULTIPLE) -> str:
    """Convolve to three channels, computing whole blocks of pixels, because three channels do not fill SIMD vectors."""
    weight, bias = graph.block_kernels(name, shifts(graph.kernel_side(name), side))
    x = graph.node("Conv", graph.padded(x, graph.kernel_side(name) // 2), weight, bias, strides=[side] * 2)
    return graph.depth_to_space(x, side, graph.width(name))
