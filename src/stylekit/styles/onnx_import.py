"""Import ONNX graphs as styles.

Only the weights are imported. A graph from another program must compute the same as stylekit's network with these
weights. To check this, both run on random pixels, in a separate process with limited memory and time.
"""

import io
import math
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from stylekit.errors import StyleFileError
from stylekit.networks import Architecture, architecture, architectures
from stylekit.styles.style_file import StyleFile, StyleMetadata, StyleWeights, check_weights, reading

_SIDES = (48, 64)  # rows and columns of the random image
_MAX_PIXELS = 1 << 20  # of the random image, if a graph accepts only one size
_LARGEST_DIFFERENCE = 1.0  # on average, for values from 0 to 255
_RUN_SECONDS = 60.0
_ERROR_CODES = re.compile(r"^[\w.]+: (\[ONNXRuntimeError\] : \d+ : \w+ : )?")
_HINT = "Graphs of pytorch/examples' fast_neural_style, such as those in the ONNX model zoo, can be imported unchanged."


def read_onnx(path: Path, name: str) -> StyleFile:
    """Read a style from an ONNX graph.

    The metadata of a graph that stylekit exported names the network it belongs to. Any other graph is matched with a
    network by its parameter names, or else by the order of its convolutions and normalizations. It may pad, resize and
    crop differently from the network, but must compute the same image.

    Args:
        path: The ONNX file.
        name: The name to give to the style.

    Raises:
        StyleFileError: If the file cannot be read, stores its weights in external files, belongs to an unknown network,
            or does not compute the same as that network.
    """
    try:
        with reading(path):
            model = onnx.load_model_from_string(path.read_bytes())
    except (DecodeError, ValueError) as error:
        raise StyleFileError(f"{path} is corrupt, or not an ONNX file.", "Download or export it again.") from error
    tensors = _tensors(model)
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors.values()):
        raise StyleFileError(
            f"{path} stores its weights in external files.", "Export it again with the weights embedded."
        )
    strings = {str(entry.key): str(entry.value) for entry in model.metadata_props}
    is_own = model.producer_name == "stylekit"
    if is_own and "format" in strings:
        metadata = StyleMetadata.from_strings({**strings, "name": name})
        names = {key: key for key in architecture(metadata.network).parameter_shapes(metadata.network_config)}
    else:
        candidates = [network for network in architectures() if is_own or network.onnx_operations]
        network, names = _tensor_names(model.graph.node, tensors.keys(), candidates)
        metadata = StyleMetadata(name=name, network=network, source=path.name)
    try:
        weights = {key: onnx.numpy_helper.to_array(tensors[tensor]) for key, tensor in names.items()}
    except (KeyError, TypeError, ValueError) as error:
        message = f"{path} has a convolution or normalization without readable weights: {error}."
        raise StyleFileError(message) from error
    check_weights(weights, metadata.network, metadata.network_config)
    if not is_own:
        _check_computation(model, architecture(metadata.network), weights, path)
    return StyleFile(metadata, weights)


def _tensors(model: Any) -> dict[str, Any]:
    """Return a graph's constants by name."""
    nodes = [node for node in model.graph.node if node.op_type == "Constant" and node.output]
    constants = {node.output[0]: attribute.t for node in nodes for attribute in node.attribute if attribute.t}
    return {tensor.name: tensor for tensor in model.graph.initializer} | constants


def _tensor_names(
    nodes: Sequence[Any], tensors: Collection[str], candidates: Sequence[Architecture]
) -> tuple[str, dict[str, str]]:
    """Return the name of the network that a graph belongs to, and the graph's tensor names by parameter name."""
    for network in candidates:
        parameters = network.parameter_shapes({}).keys()
        if parameters <= set(tensors):
            return network.name, {name: name for name in parameters}
    problems: list[StyleFileError] = []
    for network in candidates:
        try:
            return network.name, _by_order(nodes, network)
        except StyleFileError as error:
            problems.append(error)
    raise problems[0]


def _by_order(nodes: Sequence[Any], network: Architecture) -> dict[str, str]:
    """Return tensor names by parameter name, matching convolutions and normalizations by their order in the graph."""
    shapes = network.parameter_shapes({})
    names: dict[str, str] = {}
    for kind, dimensions in (("Conv", 4), ("InstanceNormalization", 1)):
        layers = [
            name.removesuffix(".weight")
            for name, shape in shapes.items()
            if name.endswith(".weight") and len(shape) == dimensions
        ]
        inputs = [node.input for node in nodes if node.op_type == kind]
        if len(inputs) != len(layers):
            raise StyleFileError(
                f"The graph is not a {network.name} network: it has {len(inputs)} {kind} nodes, not {len(layers)}.",
                _HINT,
            )
        for layer, sources in zip(layers, inputs, strict=True):
            weight, bias = (*sources, "", "")[1:3]
            names |= {f"{layer}.weight": weight, f"{layer}.bias": bias}
    return names


def _check_computation(model: Any, network: Architecture, weights: StyleWeights, path: Path) -> None:
    """Check that a graph has only expected operations, and computes the same as the network with these weights."""
    kinds = (node.op_type if node.domain in ("", "ai.onnx") else node.domain for node in model.graph.node)
    counts = Counter(map(str, kinds))  # protobuf returns text that is not UTF-8 as bytes
    known = network.onnx_operations
    if unusual := sorted(counts.keys() - known.keys()):
        raise StyleFileError(f"{path} has operations that {network.name} does not use: {', '.join(unusual)}.", _HINT)
    results = _results(model, network.onnx_model({}, weights), path)
    theirs, ours, of_bgr = results["theirs"], results["ours"], results["ours_of_bgr"]
    difference = _difference(theirs, ours)
    if difference <= _LARGEST_DIFFERENCE:
        return
    reasons = [
        f"it has {counts[kind]} {kind} nodes instead of {count}"
        for kind, count in known.items()
        if count is not None and counts[kind] != count
    ]
    if min(_difference(theirs, other) for other in (of_bgr, of_bgr[:, ::-1], ours[:, ::-1])) <= _LARGEST_DIFFERENCE:
        reasons.append("its colors are in BGR order")
    if math.isinf(difference):
        reasons.append("its result does not have the photo's size")
    else:
        reasons.append(f"the results differ by {difference:.0f} out of 255 on average")
    message = f"{path} does not compute the same as {network.name} with its weights: {'; '.join(reasons)}."
    raise StyleFileError(message, _HINT)


def _difference(theirs: NDArray[np.float64], ours: NDArray[np.float64]) -> float:
    """Return the mean difference between stylekit's result and the nearest of several results of a foreign graph.

    Args:
        theirs: The foreign graph's results, `(N, 1, 3, H', W')` with values up to 255. They may be larger than the
            photo, padded to whole cells, and their values may be clipped to 0 … 255.
        ours: Stylekit's result, `(1, 3, H, W)` with values up to 255.
    """
    cut = theirs[..., : ours.shape[-2], : ours.shape[-1]]
    if cut.shape[1:] != ours.shape:
        return math.inf
    distances = [np.abs(cut - expected).mean(axis=(1, 2, 3, 4)) for expected in (ours, ours.clip(0, 255))]
    return float(np.nan_to_num(distances, nan=np.inf).min())


def _results(theirs: Any, ours: Any, path: Path) -> Mapping[str, NDArray[np.float64]]:
    """Run a foreign graph and stylekit's graph on the same random image.

    If the foreign graph has a fixed input size, the image has that size.
    """
    random = np.random.default_rng(0)
    try:
        return _run(_of_any_size(theirs), ours, random.random((1, 3, *_SIDES), np.float32), path)
    except StyleFileError:
        sides = [side.dim_value for value in _inputs(theirs) for side in value.type.tensor_type.shape.dim][2:]
        if len(sides) != 2 or not 0 < math.prod(sides) <= _MAX_PIXELS:
            raise
        return _run(theirs, ours, random.random((1, 3, *sides), np.float32), path)


def _of_any_size(model: Any) -> Any:
    """Return a copy of a graph without the declared sizes of its input, its output and all intermediate values."""
    copy = type(model)()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for value in (*_inputs(copy), *copy.graph.output):
        for number, side in enumerate(value.type.tensor_type.shape.dim):
            side.dim_param = f"{value.name}_{number}"
    return copy


def _inputs(model: Any) -> list[Any]:
    """Return a graph's inputs without the weights, which older exporters list as inputs too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def _run(theirs: Any, ours: Any, photo: NDArray[np.float32], path: Path) -> Mapping[str, NDArray[np.float64]]:
    """Run two graphs on an image in another process; see `onnx_probe.run`."""
    job = io.BytesIO()
    models = (np.frombuffer(model.SerializeToString(), np.uint8) for model in (theirs, ours))
    np.savez(job, *models, photo)
    command = [sys.executable, "-P", str(Path(__file__).with_name("onnx_probe.py"))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        ended = subprocess.run(  # noqa: S603 - our own script
            command, input=job.getvalue(), capture_output=True, env=environment, timeout=_RUN_SECONDS, check=True
        )
        with np.load(io.BytesIO(ended.stdout)) as results:
            return dict(results)
    except subprocess.TimeoutExpired as error:
        raise StyleFileError(f"{path} takes too long on a small image.", _HINT) from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines() or ["the process crashed"]
        reason = _ERROR_CODES.sub("", lines[-1])[:200].rstrip(".")
        raise StyleFileError(f"{path} cannot be run: {reason}.", _HINT) from error
