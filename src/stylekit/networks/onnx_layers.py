"""Build ONNX graphs from the layers of transformer networks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from stylekit.networks.shapes import MIN_SIDE, SIDE_MULTIPLE, NormStatistics

_OPSET = 18
_IR_VERSION = 9  # the version of opset 18, which older runtimes can read


class OutOfStatistics(Exception):
    """Raised at a normalization for which no statistics were given, to end the graph there.

    Args:
        x: The input of the normalization.
    """

    def __init__(self, x: str) -> None:
        self.x = x


class OnnxGraph:
    """A graph under construction. The methods add nodes, and take and return the names of tensors.

    Args:
        weights: The network's parameters by name.
        norms: See `Architecture.onnx_model`.
        smooths: See `Architecture.onnx_model`.
    """

    def __init__(
        self, weights: Mapping[str, NDArray[Any]], norms: Sequence[NormStatistics] | None, smooths: bool = False
    ) -> None:
        self._weights = weights
        self._smooths = smooths
        self._smoothed = 0
        self._norms = None if norms is None else iter(norms)
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: dict[str, onnx.TensorProto] = {}

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output, which is generated if `output` is empty."""
        output = output or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, values: Any, kind: type = np.int64) -> str:
        """Add a constant and return its name."""
        array: NDArray[Any] = np.asarray(values, kind)
        name = f"constant_{len(self._tensors)}"
        self._tensors[name] = numpy_helper.from_array(array, name)
        return name

    def parameter(self, name: str) -> str:
        """Add a parameter in float32 and return its name."""
        array = np.ascontiguousarray(self._weights[name], np.float32)
        self._tensors[name] = numpy_helper.from_array(array, name)
        return name

    def kernel_side(self, name: str) -> int:
        """Return the height and width of a convolution's kernels."""
        side: int = self._weights[f"{name}.weight"].shape[-1]
        return side

    def width(self, name: str) -> int:
        """Return the number of output channels of a convolution."""
        channels: int = self._weights[f"{name}.weight"].shape[0]
        return channels

    def padded(self, x: str, border: int, mode: str = "reflect") -> str:
        """Pad an image on all four sides."""
        return self.node("Pad", x, self.constant([0, 0, border, border] * 2), mode=mode)

    def trimmed(self, x: str, border: int) -> str:
        """Crop an image on all four sides."""
        return self.node("Slice", x, *(self.constant(values) for values in ([border] * 2, [-border] * 2, [2, 3])))

    def padded_convolution(self, x: str, name: str, stride: int = 1) -> str:
        """Pad by reflection and convolve, which keeps the size."""
        return self.convolution(self.padded(x, self.kernel_side(name) // 2), name, stride)

    def convolution(self, x: str, name: str, stride: int = 1) -> str:
        """Convolve without padding."""
        return self.node(
            "Conv", x, self.parameter(f"{name}.weight"), self.parameter(f"{name}.bias"), strides=[stride] * 2
        )

    def _mapped_kernels(self, name: str, rows: NDArray[Any], columns: NDArray[Any]) -> str:
        """Apply linear maps to the rows and the columns of a convolution's kernels."""
        left = self.node("MatMul", self.constant(rows, np.float32), self.parameter(f"{name}.weight"))
        return self.node("MatMul", left, self.constant(columns.T, np.float32))

    def block_kernels(self, name: str, maps: Sequence[NDArray[Any]]) -> tuple[str, str]:
        """Return the weight and bias of a convolution that computes all pixels of a block at once, as channels.

        Args:
            name: The convolution that computes one pixel.
            maps: A linear map of the kernels' rows for each row of a block; the same maps are used for columns.
        """
        kernels = [self._mapped_kernels(name, rows, columns) for rows in maps for columns in maps]
        biases = [self.parameter(f"{name}.bias")] * len(kernels)
        return self.node("Concat", *kernels, axis=0), self.node("Concat", *biases, axis=0)

    def depth_to_space(self, x: str, side: int, width: int) -> str:
        """Arrange the pixels of blocks, each stored in `width` channels, in rows and columns.

        The result is the same as that of ONNX's DepthToSpace, but onnxruntime needs a third of the time: with channels
        last, the pixels in a row of a block are adjacent, and whole rows are stacked.
        """
        x = self.node("Transpose", x, perm=[0, 2, 3, 1])
        names = [f"{x}_row_{row}" for row in range(side)]
        self._nodes.append(helper.make_node("Split", [x], names, axis=3, num_outputs=side))
        rows = [self.node("Reshape", name, self.constant([0, 0, 1, -1])) for name in names]
        x = self.node("Concat", *rows, axis=2)
        height = self.node("Mul", self.node("Shape", x, start=1, end=2), self.constant([side]))
        shape = self.node("Concat", self.constant([0]), height, self.constant([-1, width]), axis=0)
        x = self.node("Reshape", x, shape)
        return self.node("Transpose", x, perm=[0, 3, 1, 2])

    def depthwise(self, x: str, kernel: NDArray[Any], width: int) -> str:
        """Convolve each of `width` channels with the same kernel, without padding."""
        kernels = np.tile(kernel, (width, 1, 1, 1))
        return self.node("Conv", x, self.constant(kernels, np.float32), group=width)

    def doubled(self, x: str) -> str:
        """Double height and width by repeating each value."""
        scales = self.constant([1, 1, 2, 2], np.float32)
        settings = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.node("Resize", x, "", scales, mode="nearest", **settings)

    def bilinear_doubled(self, x: str) -> str:
        """Double height and width by linear interpolation."""
        scales = self.constant([1, 1, 2, 2], np.float32)
        return self.node("Resize", x, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")

    def norm(self, x: str, name: str, floor: float) -> str:
        """Normalize each channel by its mean and variance, or by given statistics.

        Runtimes merge a normalization by given statistics with the convolution before it.

        Args:
            x: The tensor to normalize.
            name: The normalization's name, before `.weight` and `.bias`.
            floor: The number to add to the variance.

        Raises:
            OutOfStatistics: If statistics were given for earlier normalizations, but not for this one.
        """
        parameters = self.parameter(f"{name}.weight"), self.parameter(f"{name}.bias")
        if self._smooths:
            return self._smooth_norm(x, *parameters, floor)
        if self._norms is None:
            return self.node("InstanceNormalization", x, *parameters, epsilon=floor)
        if (statistics := next(self._norms, None)) is None:
            raise OutOfStatistics(x)
        mean_and_variance = (self.constant(values, np.float32) for values in statistics)
        return self.node("BatchNormalization", x, *parameters, *mean_and_variance, epsilon=floor)

    def _smooth_norm(self, x: str, weight: str, bias: str, floor: float) -> str:
        """Normalize by a mixture of the image's statistics and those used for the previous frame."""
        number, axes = self._smoothed, self.constant([2, 3])
        self._smoothed += 1
        mean = self.node("ReduceMean", x, axes)
        centered = self.node("Sub", x, mean)
        own = self.node("Concat", mean, self.node("ReduceMean", self.node("Mul", centered, centered), axes), axis=0)
        change = self.node("Mul", self.node("Sub", f"last_{number}", own), "share")
        used = self.node("Add", own, change, output=f"used_{number}")
        mean, variance = (self.node("Gather", used, self.constant([which]), axis=0) for which in (0, 1))
        weight, bias = (self.node("Reshape", name, self.constant([-1, 1, 1])) for name in (weight, bias))
        deviation = self.node("Sqrt", self.node("Add", variance, self.constant(floor, np.float32)))
        scaled = self.node("Mul", self.node("Sub", x, mean), self.node("Div", weight, deviation))
        return self.node("Add", scaled, bias)

    def padded_to_multiple(self, x: str, border: int = 0, multiple: int = SIDE_MULTIPLE) -> str:
        """Pad as `padding.pad_to_multiple` does, with rows and columns gathered by reflected indices."""
        for axis in (2, 3):
            size = self.node("Shape", x, start=axis, end=axis + 1)
            size = self.node("Squeeze", size)
            rounded = self.node("Add", size, self.constant(multiple - 1))
            rounded = self.node("Div", rounded, self.constant(multiple))
            rounded = self.node("Mul", rounded, self.constant(multiple))
            padded = self.node("Max", rounded, self.constant(MIN_SIDE))
            after = self._reflected(x, axis, size, (size, self.node("Add", padded, self.constant(border))))
            before = [self._reflected(x, axis, size, (self.constant(-border), self.constant(0)))] if border else []
            x = self.node("Concat", *before, x, after, axis=axis)
        return x

    def _reflected(self, x: str, axis: int, size: str, positions: tuple[str, str]) -> str:
        """Return the rows or columns between two positions in an image that is extended by reflection."""
        last = self.node("Sub", size, self.constant(1))
        period = self.node("Max", self.node("Mul", last, self.constant(2)), self.constant(1))
        phase = self.node("Mod", self.node("Range", *positions, self.constant(1)), period)
        return self.node("Gather", x, self.node("Min", phase, self.node("Sub", period, phase)), axis=axis)

    def cut_to(self, x: str, like: str, border: int = 0) -> str:
        """Crop a border from all sides, then the right and lower edges to the size of another image."""
        start = self.constant([border, border])
        end = self.node("Add", self.node("Shape", like, start=2, end=4), start)
        return self.node("Slice", x, start, end, self.constant([2, 3]))

    def model(self, output: str) -> onnx.ModelProto:
        """Return the finished model, from `photo` to the tensor `output`."""
        shapes: dict[str, list[str | int]] = {
            "photo": ["batch", 3, "height", "width"],
            "picture": ["batch", 3, "height", "width"],
            "features": ["batch", "channels", "rows", "columns"],
        }
        inputs, outputs = ["photo"], [output]
        for number in range(self._smoothed):
            shapes[f"last_{number}"] = shapes[f"used_{number}"] = [2, f"channels_{number}", 1, 1]
            inputs.append(f"last_{number}")
            outputs.append(f"used_{number}")
        if self._smooths:
            shapes["share"] = []
            inputs.append("share")
        graph_inputs, graph_outputs = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in names]
            for names in (inputs, outputs)
        )
        graph = helper.make_graph(self._nodes, "stylekit", graph_inputs, graph_outputs, list(self._tensors.values()))
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=_IR_VERSION, producer_name="stylekit")
        onnx.checker.check_model(model)
        return model


def shifts(kernel: int, side: int) -> list[NDArray[Any]]:
    """Return the maps that shift a kernel's rows or columns to each position in a block."""
    return [np.eye(kernel + side - 1, kernel, -shift) for shift in range(side)]
