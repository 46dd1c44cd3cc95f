"""The transformer networks as ONNX graphs: the same layers on the same parameters, without torch."""

from collections.abc import Mapping, Sequence
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
    Statistics,
    complete_config,
)

_OPSET = 18
_IR_VERSION = 9  # of the time of opset 18, so that older runtimes read it too


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
    graph = _Graph(weights, norms, smooths)
    try:
        if network == "johnson":
            _johnson(graph)
        else:
            _fast(graph, **complete)
    except _OutOfStatistics as end:
        return graph.model(graph.node("Identity", end.x, output="features"))
    return graph.model("picture")


class _OutOfStatistics(Exception):
    """The statistics given do not reach beyond the features `x`."""

    def __init__(self, x: str) -> None:
        self.x = x


class _Graph:
    """A graph under construction. Methods take and return tensors' names."""

    def __init__(
        self, weights: Mapping[str, NDArray[Any]], norms: Sequence[Statistics] | None, smooths: bool = False
    ) -> None:
        self._weights = weights
        self._smooths = smooths
        self._smoothed = 0
        self._norms = None if norms is None else iter(norms)
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

    def kernel_side(self, name: str) -> int:
        """A convolution's rows and columns."""
        side: int = self._weights[f"{name}.weight"].shape[-1]
        return side

    def padded(self, x: str, border: int, mode: str = "reflect") -> str:
        """Continue a picture on all four sides."""
        return self.node("Pad", x, self.constant([0, 0, border, border] * 2), mode=mode)

    def convolution(self, x: str, name: str, stride: int = 1, padding: str = "reflect") -> str:
        """A convolution that keeps the size by padding with `reflect`ion or `zeros`."""
        kernel = self.kernel_side(name)
        if padding == "reflect":
            x = self.padded(x, kernel // 2)
        inputs = x, self.parameter(f"{name}.weight"), self.parameter(f"{name}.bias")
        zeros = kernel // 2 if padding == "zeros" else 0
        return self.node("Conv", *inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[zeros] * 4)

    def mapped(self, name: str, rows: NDArray[Any], columns: NDArray[Any]) -> str:
        """A convolution's kernels with linear maps applied to their rows and to their columns."""
        left = self.node("MatMul", self.constant(rows, np.float32), self.parameter(f"{name}.weight"))
        return self.node("MatMul", left, self.constant(columns.T, np.float32))

    def depthwise(self, x: str, kernel: NDArray[Any], width: int, pads: Sequence[int] = (0, 0, 0, 0)) -> str:
        """The same kernel on each of `width` channels, with zeros above, to the left, below and to the right."""
        kernels = np.tile(kernel, (width, 1, 1, 1))
        return self.node("Conv", x, self.constant(kernels, np.float32), pads=[*pads], group=width)

    def doubled(self, x: str) -> str:
        """Each value repeated in both directions."""
        scales = self.constant([1, 1, 2, 2], np.float32)
        settings = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.node("Resize", x, "", scales, mode="nearest", **settings)

    def norm(self, x: str, name: str, floor: float) -> str:
        """Instance normalisation, or the same by statistics that were given: runtimes merge it with convolutions."""
        parameters = self.parameter(f"{name}.weight"), self.parameter(f"{name}.bias")
        if self._smooths:
            return self._smooth_norm(x, *parameters, floor)
        if self._norms is None:
            return self.node("InstanceNormalization", x, *parameters, epsilon=floor)
        if (statistics := next(self._norms, None)) is None:
            raise _OutOfStatistics(x)
        mean_and_variance = (self.constant(values, np.float32) for values in statistics)
        return self.node("BatchNormalization", x, *parameters, *mean_and_variance, epsilon=floor)

    def _smooth_norm(self, x: str, weight: str, bias: str, floor: float) -> str:
        """Normalisation by statistics between the picture's own and those of the last one."""
        number, axes = self._smoothed, self.constant([2, 3])
        self._smoothed += 1
        mean = self.node("ReduceMean", x, axes)
        centred = self.node("Sub", x, mean)
        own = self.node("Concat", mean, self.node("ReduceMean", self.node("Mul", centred, centred), axes), axis=0)
        change = self.node("Mul", self.node("Sub", f"last_{number}", own), "share")
        used = self.node("Add", own, change, output=f"used_{number}")
        mean, variance = (self.node("Gather", used, self.constant([which]), axis=0) for which in (0, 1))
        weight, bias = (self.node("Reshape", name, self.constant([-1, 1, 1])) for name in (weight, bias))
        deviation = self.node("Sqrt", self.node("Add", variance, self.constant(floor, np.float32)))
        scaled = self.node("Mul", self.node("Sub", x, mean), self.node("Div", weight, deviation))
        return self.node("Add", scaled, bias)

    def padded_to_multiple(self, x: str, border: int = 0) -> str:
        """As `padding.pad_to_multiple`: what is added are rows and columns gathered by reflected indices."""
        for axis in (2, 3):
            size = self.node("Shape", x, start=axis, end=axis + 1)
            size = self.node("Squeeze", size)
            rounded = self.node("Add", size, self.constant(SIDE_MULTIPLE - 1))
            rounded = self.node("Div", rounded, self.constant(SIDE_MULTIPLE))
            rounded = self.node("Mul", rounded, self.constant(SIDE_MULTIPLE))
            padded = self.node("Max", rounded, self.constant(LEAST_SIDE))
            after = self._reflected(x, axis, size, (size, self.node("Add", padded, self.constant(border))))
            before = [self._reflected(x, axis, size, (self.constant(-border), self.constant(0)))] if border else []
            x = self.node("Concat", *before, x, after, axis=axis)
        return x

    def _reflected(self, x: str, axis: int, size: str, positions: tuple[str, str]) -> str:
        """Rows or columns of a picture that would lie from one position to another if it went on by reflection."""
        last = self.node("Sub", size, self.constant(1))
        period = self.node("Max", self.node("Mul", last, self.constant(2)), self.constant(1))
        forth = self.node("Mod", self.node("Range", *positions, self.constant(1)), period)
        return self.node("Gather", x, self.node("Min", forth, self.node("Sub", period, forth)), axis=axis)

    def cut_to(self, x: str, like: str, border: int = 0) -> str:
        """Cut off a border, and at the right and lower side what goes beyond the size of another picture."""
        start = self.constant([border, border])
        end = self.node("Add", self.node("Shape", like, start=2, end=4), start)
        return self.node("Slice", x, start, end, self.constant([2, 3]))

    def model(self, output: str) -> onnx.ModelProto:
        """Return the finished model, from `photo` to the tensor `output`."""
        shapes: dict[str, list[str | int]] = {
            "photo": ["batch", 3, "height", "width"],
            "picture": ["batch", 3, "height", "width"],
        }
        shapes["features"] = ["batch", "channels", "rows", "columns"]
        inputs, outputs = ["photo"], [output]
        for number in range(self._smoothed):
            shapes[f"last_{number}"] = shapes[f"used_{number}"] = [2, f"channels_{number}", 1, 1]
            inputs.append(f"last_{number}")
            outputs.append(f"used_{number}")
        if self._smooths:
            shapes["share"] = []
            inputs.append("share")
        takes, gives = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in names]
            for names in (inputs, outputs)
        )
        graph = helper.make_graph(self._nodes, "stylekit", takes, gives, list(self._tensors.values()))
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=_IR_VERSION, producer_name="stylekit")
        onnx.checker.check_model(model)
        return model


def _johnson(graph: _Graph) -> None:
    def layer(x: str, convolution: str, norm: str, stride: int = 1) -> str:
        return graph.norm(graph.convolution(x, f"{convolution}.conv2d", stride), norm, JOHNSON_VARIANCE_FLOOR)

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


def _doubled_and_convolved(graph: _Graph, x: str, name: str) -> str:
    """Doubling by repetition, reflection padding and a 3x3 convolution, with 4/9 of the multiplications.

    Each of the four quarters of the result, its even and odd rows and columns, depends on two by two values; where the
    doubled picture goes on by reflection, what was doubled goes on by its edge. Odd rows and columns come first, as
    the valid ones of the convolutions begin and end with one that lies outside and is cut off.
    """
    x = graph.padded(x, 1, "edge")
    sums = np.array([[[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]])  # which of the three taps fall on each value
    bias = graph.parameter(f"{name}.bias")
    quarters = [graph.node("Conv", x, graph.mapped(name, rows, columns), bias) for rows in sums for columns in sums]
    x = graph.node("DepthToSpace", graph.node("Concat", *quarters, axis=1), blocksize=2)
    return graph.node("Slice", x, *(graph.constant(values) for values in ([1, 1], [-1, -1], [2, 3])))


def _convolved_by_blocks(graph: _Graph, x: str, name: str, side: int = SIDE_MULTIPLE) -> str:
    """A convolution to three channels, as one to all pixels of a block at once: three alone leave vectors empty."""
    weight, bias = _kernels_of_blocks(graph, name, side)
    x = graph.node("Conv", graph.padded(x, graph.kernel_side(name) // 2), weight, bias, strides=[side] * 2)
    return graph.node("DepthToSpace", x, blocksize=side)


def _kernels_of_blocks(graph: _Graph, name: str, side: int) -> tuple[str, str]:
    """Weight and bias by which a convolution makes all pixels of a block: its kernel at each of their places."""
    kernel = graph.kernel_side(name)
    shifts = [np.eye(kernel + side - 1, kernel, -shift) for shift in range(side)]
    weight = graph.node("Concat", *(graph.mapped(name, rows, columns) for rows in shifts for columns in shifts), axis=0)
    return weight, graph.node("Concat", *[graph.parameter(f"{name}.bias")] * side**2, axis=0)


def _fast(graph: _Graph, channels: int, blocks: int, half_channels: int, full_channels: int) -> None:
    def layer(x: str, name: str) -> str:
        return graph.norm(graph.convolution(x, f"{name}.convolution"), f"{name}.norm", FAST_VARIANCE_FLOOR)

    x = _unshuffled_and_convolved(graph, graph.padded_to_multiple("photo", FAST_BORDER), "stem.convolution", channels)
    x = graph.node("Relu", graph.norm(x, "stem.norm", FAST_VARIANCE_FLOOR))
    for i in range(blocks):
        inner = graph.node("Relu", layer(x, f"blocks.{i}.first"))
        x = graph.node("Add", x, graph.convolution(inner, f"blocks.{i}.second"))
    x = _low_pass_doubled(graph, graph.convolution(x, "to_half"), half_channels)
    # From here on what is assumed beyond the edges reaches no further than the border that is cut off: zeros will do.
    x = graph.node("Relu", graph.convolution(x, "at_half", padding="zeros"))
    x = _doubled_and_out(graph, graph.convolution(x, "to_full", padding="zeros"), full_channels)
    graph.node("Sigmoid", graph.cut_to(x, "photo", FAST_BORDER), output="picture")


def _unshuffled_and_convolved(graph: _Graph, x: str, name: str, width: int) -> str:
    """Pixel-unshuffle by 4 and `fast`'s first convolution, as one of 12 x 12 pixels at steps of 4: nothing is moved."""
    for axis in (2, 3):  # reflection pads the unshuffled picture by the cells next to the outermost
        cells = [graph.node("Slice", x, *(graph.constant([n]) for n in (*ends, axis))) for ends in ((4, 8), (-8, -4))]
        x = graph.node("Concat", cells[0], x, cells[1], axis=axis)
    weight = graph.node("Reshape", graph.parameter(f"{name}.weight"), graph.constant([width, 3, 4, 4, 3, 3]))
    weight = graph.node("Transpose", weight, perm=[0, 1, 4, 2, 5, 3])
    weight = graph.node("Reshape", weight, graph.constant([width, 3, 12, 12]))
    return graph.node("Conv", x, weight, graph.parameter(f"{name}.bias"), strides=[4, 4])


def _low_pass_doubled(graph: _Graph, x: str, width: int) -> str:
    """`fast`'s doubling. Its filter is that of repeating each value, and nine taps: convolutions that runtimes love."""
    taps, _ = np.polydiv(DOUBLING_TAPS, [1, 1])
    x = graph.doubled(graph.padded(x, 2, "edge"))
    return graph.depthwise(graph.depthwise(x, taps[:, None], width), taps[None, :], width)


def _doubled_and_out(graph: _Graph, x: str, width: int) -> str:
    """`fast`'s last doubling, ReLU and convolution, at half the resolution: nothing wide is ever as large as the photo.

    The doubled picture, with a pixel more on all sides, is held as the four quarters of its even and odd rows and
    columns, each made by a filter of five of the ten taps. Four pixels of the result then depend on a square of four
    by four pixels: on two by two places in each quarter.
    """
    phases = (  # taps, and the zeros before and after: the outer pixel makes odd rows and columns the first
        (DOUBLING_TAPS[1::2][::-1], (3, 2)),
        (DOUBLING_TAPS[::2][::-1], (2, 3)),
    )
    quarters = []
    for rows, (above, below) in phases:
        for columns, (left, right) in phases:
            filtered = graph.depthwise(x, np.outer(rows, columns), width, (above, left, below, right))
            quarters.append(graph.node("Relu", filtered))
    weight, bias = _kernels_of_blocks(graph, "out", 2)
    weight = graph.node("Reshape", weight, graph.constant([12, width, 2, 2, 2, 2]))
    weight = graph.node("Transpose", weight, perm=[0, 3, 5, 1, 2, 4])
    weight = graph.node("Reshape", weight, graph.constant([12, 4 * width, 2, 2]))
    x = graph.node("Conv", graph.node("Concat", *quarters, axis=1), weight, bias)
    return graph.node("DepthToSpace", x, blocksize=2)
