"""Build an ONNX graph of `unet`."""

from stylekit.networks.fast.facts import FAST_VARIANCE_FLOOR
from stylekit.networks.fast.graph import doubled_and_out, low_pass_doubled, unshuffled_and_convolved
from stylekit.networks.onnx_layers import OnnxGraph
from stylekit.networks.unet.facts import BODY_BORDER, BORDER_REST, CELL, LEAK, STEM_BORDER


def add_unet(graph: OnnxGraph, channels: int, sixteenth_blocks: int, half_channels: int, full_channels: int) -> None:
    """Add the network's nodes to a graph, from the tensor `photo` to the tensor `picture`; see `UNet`."""

    def normed(x: str, name: str, stride: int = 1) -> str:
        x = graph.convolution(graph.padded(x, 1, "edge"), f"{name}.convolution", stride)
        return graph.norm(x, f"{name}.norm", FAST_VARIANCE_FLOOR)

    def block(x: str, name: str) -> str:
        inner = graph.padded(graph.node("Relu", normed(x, f"{name}.first")), 1, "edge")
        return graph.node("Add", x, graph.convolution(inner, f"{name}.second"))

    def leaky(x: str) -> str:
        return graph.node("LeakyRelu", x, alpha=LEAK)

    x = graph.padded_to_multiple("photo", BODY_BORDER + STEM_BORDER, CELL)
    x = graph.norm(unshuffled_and_convolved(graph, x, "stem.convolution", channels), "stem.norm", FAST_VARIANCE_FLOOR)
    quarter = block(graph.node("Relu", x), "quarter_in")
    eighth = block(graph.node("Relu", normed(quarter, "to_eighth", stride=2)), "eighth_in")
    x = graph.node("Relu", normed(eighth, "to_sixteenth", stride=2))
    for i in range(sixteenth_blocks):
        x = block(x, f"sixteenth.{i}")
    x = block(graph.node("Add", eighth, graph.bilinear_doubled(leaky(normed(x, "back_to_eighth")))), "eighth_out")
    x = block(graph.node("Add", quarter, graph.bilinear_doubled(leaky(normed(x, "back_to_quarter")))), "quarter_out")
    x = low_pass_doubled(graph, graph.convolution(x, "to_half"), half_channels)
    x = leaky(graph.convolution(x, "at_half"))
    x = doubled_and_out(graph, graph.convolution(x, "to_full"), full_channels, LEAK)
    graph.node("Sigmoid", graph.cut_to(x, "photo", BORDER_REST), output="picture")
