"""What the tests of styles share."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from stylekit.networks import architecture
from tests.permissions import without_permission

__all__ = ["without_permission"]


@pytest.fixture(scope="session")
def johnson_weights():
    """Random weights of `johnson`."""
    random = np.random.default_rng(0)
    shapes = architecture("johnson").parameter_shapes({})
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


class PublishedGraph:
    """A graph of `johnson` as PyTorch exports pytorch/examples' network: other nodes than stylekit's, same images.

    Args:
        weights: The parameters by name.
        activation: The operation after normalizations.
        residuals: How often a block's input is added to its result.
        side: The height and width that the graph states.
    """

    def __init__(self, weights, activation="Relu", residuals=1, side=224):
        self.nodes: list[onnx.NodeProto] = []
        self.tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
        self.constant("scales", np.array([1, 1, 2, 2], np.float32))
        x = "input"
        for i, stride in enumerate((1, 2, 2), start=1):
            x = self.node(activation, self.layer(x, f"conv{i}", f"in{i}", 9 if i == 1 else 3, stride))
        for i in range(1, 6):
            inner = self.node(activation, self.layer(x, f"res{i}.conv1", f"res{i}.in1"))
            out = self.layer(inner, f"res{i}.conv2", f"res{i}.in2")
            for _ in range(residuals):
                out = self.node("Add", out, x)
            x = out
        for i in (1, 2):
            doubled = self.node("Resize", x, "", "scales", mode="nearest", nearest_mode="floor")
            self.nodes[-1].attribute.append(helper.make_attribute("coordinate_transformation_mode", "asymmetric"))
            x = self.node(activation, self.layer(doubled, f"deconv{i}", f"in{i + 3}"))
        self.output = self.convolution(x, "deconv3", 9)
        self.side = side

    def constant(self, name, values):
        if name not in {tensor.name for tensor in self.tensors}:
            self.tensors.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, kind, *inputs, **attributes):
        output = f"x{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def convolution(self, x, name, kernel=3, stride=1):
        border = kernel // 2
        pads = self.constant(f"pads{border}", np.array([0, 0, border, border] * 2))
        x = self.node("Pad", x, pads, mode="reflect")
        return self.node("Conv", x, f"{name}.conv2d.weight", f"{name}.conv2d.bias", strides=[stride] * 2)

    def layer(self, x, name, norm, kernel=3, stride=1):
        x = self.convolution(x, name, kernel, stride)
        return self.node("InstanceNormalization", x, f"{norm}.weight", f"{norm}.bias")

    def before(self, kind, *inputs, **attributes):
        """Insert an operation between the input and the first padding."""
        self.nodes.insert(0, helper.make_node(kind, ["input", *inputs], ["changed"], **attributes))
        self.nodes[1].input[0] = "changed"

    def after(self, kind, *inputs, **attributes):
        """Append an operation."""
        self.output = self.node(kind, self.output, *inputs, **attributes)

    def model(self, dims=None):
        float32 = onnx.TensorProto.FLOAT
        ends = [
            helper.make_tensor_value_info(name, float32, dims or [1, 3, self.side, self.side])
            for name in ("input", self.output)
        ]
        graph = helper.make_graph(self.nodes, "torch-jit-export", ends[:1], ends[1:], self.tensors)
        opset = [helper.make_opsetid("", 13)]
        return helper.make_model(graph, producer_name="pytorch", opset_imports=opset, ir_version=7)


@pytest.fixture
def published(johnson_weights):
    """Make a graph of `johnson` as other programs publish it; see `PublishedGraph`."""

    def make(**changes):
        return PublishedGraph(johnson_weights, **changes)

    return make
