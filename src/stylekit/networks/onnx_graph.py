"""The transformer networks as ONNX graphs: the same layers on the same parameters, without torch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from stylekit.architectures import (
    DOUBLING_TAPS,
    FAST_BORDER,
    FAST_VARIANCE_FLOOR,
    JOHNSON_VARIANCE_FLOOR,
    LEAST_SIDE,
    SIDE_MULTIPLE,
    complete_config,
)

_OPSET = 18
_IR_VERSION = 9  # of the time of opset 18, so that older runtimes read it too


def build_graph(network: str, config: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]) -> onnx.ModelProto:
    """Build a network as an ONNX graph, `photo` -> `picture`: `(B, 3, H, W)`, RGB in [0, 1], any height and width.

    Args:
        network: `fast` or `johnson`.
        config: settings that differ from `architectures.NETWORK_DEFAULTS[network]`.
        weights: the network's parameters by name.

    Raises:
        ConfigError: if the network or a setting is unknown.
    """
    complete = complete_config(network, config)
    graph = _Graph(weights)
    if network == "johnson":
        _johnson(graph)
    else:
        _fast(graph, **complete)
    return graph.model()


class _Graph:
    """A graph under construction. Methods take and return tensors' names."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: dict[str, onnx.TensorProto] = {}

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node and return its output."""
        output = output or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, values: Any, kind: type = np.int64) -> str:
        """Return a constant's name."""
        array: NDArray[Any] = np.asarray(values, kind)
        name = f"constant_{len(self._tensors)}"
        self._tensors[name] = numpy_helper.from_array(array, name)
        return name

    def parameter(self, name: str) -> str:
        """Return a parameter's name, in float32."""
        array = np.ascontiguousarray(self._weights[name], np.float32)
        self._tensors[name] = numpy_helper.from_array(array, name)
        return name

    def padded(self, x: str, border: int, mode: str = "reflect") -> str:
        """Continue a picture on all four sides."""
        return self.node("Pad", x, self.constant([0, 0, border, border] * 2), mode=mode)

    def convolution(self, x: str, name: str, kernel: int, stride: int = 1) -> str:
        """A convolution with reflection padding."""
        inputs = (self.padded(x, kernel // 2), self.parameter(f"{name}.weight"), self.parameter(f"{name}.bias"))
        return self.node("Conv", *inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2)

    def norm(self, x: str, name: str, floor: float) -> str:
        """Instance normalisation."""
        parameters = self.parameter(f"{name}.weight"), self.parameter(f"{name}.bias")
        return self.node("InstanceNormalization", x, *parameters, epsilon=floor)

    def padded_to_multiple(self, x: str, border: int = 0) -> str:
        """As `padding.pad_to_multiple`: rows and columns gathered by reflected indices."""
        for axis in (2, 3):
            size = self.node("Shape", x, start=axis, end=axis + 1)
            size = self.node("Squeeze", size)
            rounded = self.node("Add", size, self.constant(SIDE_MULTIPLE - 1))
            rounded = self.node("Div", rounded, self.constant(SIDE_MULTIPLE))
            rounded = self.node("Mul", rounded, self.constant(SIDE_MULTIPLE))
            padded = self.node("Max", rounded, self.constant(LEAST_SIDE))
            last = self.node("Sub", size, self.constant(1))
            period = self.node("Max", self.node("Mul", last, self.constant(2)), self.constant(1))
            end = self.node("Add", padded, self.constant(border))
            positions = self.node("Range", self.constant(-border), end, self.constant(1))
            forth = self.node("Mod", positions, period)
            x = self.node("Gather", x, self.node("Min", forth, self.node("Sub", period, forth)), axis=axis)
        return x

    def cut_to(self, x: str, like: str, border: int = 0) -> str:
        """Cut off a border, and at the right and lower side what goes beyond the size of another picture."""
        start = self.constant([border, border])
        end = self.node("Add", self.node("Shape", like, start=2, end=4), start)
        return self.node("Slice", x, start, end, self.constant([2, 3]))

    def model(self) -> onnx.ModelProto:
        """Return the finished model."""
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, "height", "width"])
            for name in ("photo", "picture")
        ]
        graph = helper.make_graph(self._nodes, "stylekit", ends[:1], ends[1:], list(self._tensors.values()))
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=_IR_VERSION, producer_name="stylekit")
        onnx.checker.check_model(model)
        return model


def _johnson(graph: _Graph) -> None:
    def layer(x: str, convolution: str, norm: str, kernel: int = 3, stride: int = 1) -> str:
        x = graph.convolution(x, f"{convolution}.conv2d", kernel, stride)
        return graph.norm(x, norm, JOHNSON_VARIANCE_FLOOR)

    def doubled(x: str) -> str:
        scales = graph.constant([1, 1, 2, 2], np.float32)
        settings = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return graph.node("Resize", x, "", scales, mode="nearest", **settings)

    x = graph.node("Mul", graph.padded_to_multiple("photo"), graph.constant(255, np.float32))
    x = graph.node("Relu", layer(x, "conv1", "in1", kernel=9))
    x = graph.node("Relu", layer(x, "conv2", "in2", stride=2))
    x = graph.node("Relu", layer(x, "conv3", "in3", stride=2))
    for i in range(1, 6):
        inner = graph.node("Relu", layer(x, f"res{i}.conv1", f"res{i}.in1"))
        x = graph.node("Add", x, layer(inner, f"res{i}.conv2", f"res{i}.in2"))
    x = graph.node("Relu", layer(doubled(x), "deconv1", "in4"))
    x = graph.node("Relu", layer(doubled(x), "deconv2", "in5"))
    x = graph.convolution(x, "deconv3.conv2d", 9)
    x = graph.cut_to(x, like="photo")
    graph.node("Div", x, graph.constant(255, np.float32), output="picture")


def _fast(graph: _Graph, channels: int, blocks: int, half_channels: int, full_channels: int) -> None:
    def layer(x: str, name: str) -> str:
        return graph.norm(graph.convolution(x, f"{name}.convolution", 3), f"{name}.norm", FAST_VARIANCE_FLOOR)

    def doubled(x: str, width: int) -> str:
        x = graph.padded(x, 3, "edge")
        for shape, stride, cut in (((-1, 1), [2, 1], [10, 0]), ((1, -1), [1, 2], [0, 10])):
            taps = np.tile(np.reshape(DOUBLING_TAPS, shape), (width, 1, 1, 1))
            x = graph.node(
                "ConvTranspose", x, graph.constant(taps, np.float32), strides=stride, pads=cut * 2, group=width
            )
        return x

    x = graph.node("SpaceToDepth", graph.padded_to_multiple("photo", FAST_BORDER), blocksize=4)
    x = graph.node("Gather", x, graph.constant(_unshuffled_order()), axis=1)
    x = graph.node("Relu", layer(x, "stem"))
    for i in range(blocks):
        inner = graph.node("Relu", layer(x, f"blocks.{i}.first"))
        x = graph.node("Add", x, layer(inner, f"blocks.{i}.second"))
    x = doubled(graph.convolution(x, "to_half", 3), half_channels)
    x = graph.node("Relu", layer(x, "at_half"))
    x = doubled(graph.convolution(x, "to_full", 3), full_channels)
    x = graph.convolution(graph.node("Relu", x), "out", 3)
    graph.node("Sigmoid", graph.cut_to(x, "photo", FAST_BORDER), output="picture")


def _unshuffled_order() -> list[int]:
    """Where torch's pixel-unshuffle has its channels (colour first) in those of SpaceToDepth (colour last)."""
    return [place * 3 + colour for colour in range(3) for place in range(16)]
