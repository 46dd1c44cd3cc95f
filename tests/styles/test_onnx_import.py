"""Foreign ONNX graphs: imported if they compute what stylekit will, and refused with the reason otherwise."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from stylekit.errors import StyleFileError
from stylekit.networks import architecture
from stylekit.styles.importers import import_weights

ANY_SIZE = ["batch", 3, "height", "width"]


@pytest.fixture
def imported(tmp_path):
    """Import a model."""

    def run(model):
        path = tmp_path / "foreign.onnx"
        path.write_bytes(model.SerializeToString())
        return import_weights(path, "wave")

    return run


def bgr_in(graph):
    graph.before("Gather", graph.constant("reversed", np.array([2, 1, 0])), axis=1)


def bgr_out(graph):
    graph.after("Gather", graph.constant("reversed", np.array([2, 1, 0])), axis=1)


def bgr_in_and_out(graph):
    bgr_in(graph)
    bgr_out(graph)


def scaled_tanh(graph):
    graph.after("Tanh")
    graph.after("Mul", graph.constant("scale", np.array(150, np.float32)))


def doubled(graph):
    graph.after("Mul", graph.constant("two", np.array(2, np.float32)))


def zoomed(graph):
    graph.after("Slice", *(graph.constant(f"cut{i}", np.array(v)) for i, v in enumerate(([8, 8], [-8, -8], [2, 3]))))


def flattened(graph):
    graph.after("Reshape", graph.constant("flat", np.array([-1])))


def not_a_number(graph):
    graph.after("Mul", graph.constant("nan", np.array(np.nan, np.float32)))


def growing(graph):
    """Ask for 2^60 bytes."""
    for _ in range(12):
        graph.after("Concat", *[graph.output] * 15, axis=1)


def unrunnable(graph):
    graph.after("Concat", "nowhere", axis=1)


REFUSED = {
    "BGR in": ({}, bgr_in, "its colors are in BGR order.*differ by"),
    "BGR out": ({}, bgr_out, "its colors are in BGR order"),
    "BGR in and out": ({}, bgr_in_and_out, "its colors are in BGR order"),
    "another activation": ({"activation": "LeakyRelu"}, None, "operations that johnson does not use: LeakyRelu"),
    "a scaled tanh": ({}, scaled_tanh, "operations that johnson does not use: Tanh"),
    "residuals added twice": ({"residuals": 2}, None, "it has 10 Add nodes instead of 5; the results differ by"),
    "another range": (
        {},
        doubled,
        r"does not compute the same as johnson with its weights: the results differ by \d+",
    ),
    "a smaller result": ({}, zoomed, "its result does not have the photo's size"),
    "no image": ({}, flattened, "its result does not have the photo's size"),
    "no numbers": ({}, not_a_number, "does not compute the same"),
    "a result beyond all memory": ({}, growing, "cannot be run"),
    "an invalid graph": ({}, unrunnable, "cannot be run"),
}


@pytest.mark.parametrize(("changes", "change", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_graph_that_computes_something_else_is_refused(published, imported, changes, change, reason):
    graph = published(**changes)
    if change:
        change(graph)
    with pytest.raises(StyleFileError, match=reason) as caught:
        imported(graph.model(ANY_SIZE))
    assert "fast_neural_style" in caught.value.hint


def from_0_to_1(graph):
    graph.before("Mul", graph.constant("scale", np.array(255, np.float32)))
    graph.after("Div", "scale")


def clipped(graph):
    graph.after("Clip", *(graph.constant(f"end{end}", np.array(end, np.float32)) for end in (0, 255)))


def of_one_size(graph):
    """Insist on the stated size, as graphs with constant shapes do."""
    graph.before("Reshape", graph.constant("shape", np.array([1, 3, graph.side, graph.side])))


ACCEPTED = {
    "any size": (None, ANY_SIZE),
    "one size": (of_one_size, None),
    "values from 0 to 1": (from_0_to_1, None),
    "values clipped": (clipped, None),
}


@pytest.mark.parametrize(("change", "dims"), ACCEPTED.values(), ids=ACCEPTED)
def test_a_graph_that_computes_the_same_in_another_way_is_imported(published, imported, johnson_weights, change, dims):
    graph = published(side=60)
    if change:
        change(graph)
    style = imported(graph.model(dims))
    for name, array in johnson_weights.items():
        np.testing.assert_array_equal(style.weights[name], array)


def test_operations_of_other_libraries_and_loops_are_refused_before_the_graph_runs(published, imported, monkeypatch):
    monkeypatch.setattr("subprocess.run", None)
    graph = published()
    graph.after("Conjure")
    graph.nodes[-1].domain = "com.example"
    with pytest.raises(StyleFileError, match=r"does not use: com\.example"):
        imported(graph.model())
    graph = published()
    graph.after("Loop")
    with pytest.raises(StyleFileError, match="does not use: Loop"):
        imported(graph.model())


def test_weights_in_half_precision_are_imported_as_they_are(published, imported):
    model = published().model()
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.name != "scales":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for end in (model.graph.input[0], model.graph.output[0]):
        end.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    assert imported(model).weights["conv1.conv2d.weight"].dtype == np.float16


def test_a_graph_that_takes_too_long_is_refused(published, imported, monkeypatch):
    monkeypatch.setattr("stylekit.styles.onnx_import._RUN_SECONDS", 0.001)
    with pytest.raises(StyleFileError, match="takes too long"):
        imported(published().model())


def test_graphs_of_stylekit_are_not_run(imported, johnson_weights, monkeypatch):
    monkeypatch.setattr("subprocess.run", None)
    assert imported(architecture("johnson").onnx_model({}, johnson_weights)).metadata.network == "johnson"
