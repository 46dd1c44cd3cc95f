"""Weights of other programs -> style files. Nothing is ever unpickled beyond plain tensors, or executed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylekit.errors import StyleFileError
from stylekit.networks.architectures import NETWORK_DEFAULTS, parameter_shapes
from stylekit.networks.checkpoints import read_pth
from stylekit.styles.names import IMPORTABLE_SUFFIXES
from stylekit.styles.style_file import StyleFile, StyleMetadata, check_weights

# Instance norms of torch before 0.4 kept running statistics that they never used.
_UNUSED = re.compile(r".*\.(running_mean|running_var|num_batches_tracked)")


def read_onnx(path: Path) -> dict[str, NDArray[Any]]:
    """Read the weights of an ONNX graph: by their names where it kept those of `johnson`, else by their order.

    Between its convolutions and instance norms the graph may pad, resize and cut as it likes: exports differ in that.

    Raises:
        StyleFileError: if it is no ONNX file, keeps its weights in other files, or is no `johnson`.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except (DecodeError, OSError):
        raise StyleFileError(f"{path} is damaged or no ONNX file.", "Fetch or export it anew.") from None
    constants = {
        node.output[0]: a.t for node in graph.node if node.op_type == "Constant" for a in node.attribute if a.t
    }
    tensors = {tensor.name: tensor for tensor in graph.initializer} | constants
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors.values()):
        raise StyleFileError(f"{path} keeps its weights in other files.", "Export it with the weights inside.")
    slots = list(parameter_shapes("johnson", {}))
    names = dict(zip(slots, slots, strict=True)) if set(slots) <= tensors.keys() else _by_order(graph.node, slots)
    try:
        return {slot: onnx.numpy_helper.to_array(tensors[name]) for slot, name in names.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise StyleFileError(f"{path} has a convolution or norm without readable weights: {error}.") from None


def _by_order(nodes: Iterable[Any], slots: Sequence[str]) -> dict[str, str]:
    """Names of the tensors that feed the convolutions and instance norms, each kind in the order of the graph."""
    nodes = list(nodes)
    found: dict[str, str] = {}
    for kind, mark in (("Conv", "conv"), ("InstanceNormalization", "in")):
        inputs = [name for node in nodes if node.op_type == kind for name in (*node.input, "", "")[1:3]]
        wanted = [slot for slot in slots if slot.split(".")[-2].startswith(mark)]
        if len(inputs) != len(wanted):
            raise StyleFileError(
                f"The graph is of another network: it has {len(inputs) // 2} {kind} nodes, johnson {len(wanted) // 2}.",
                "Published fast_neural_style graphs, such as those of the ONNX model zoo, can be imported.",
            )
        found |= zip(wanted, inputs, strict=True)
    return found


def import_weights(path: Path, name: str) -> StyleFile:
    """Read weights that another program published for a network that we know.

    Args:
        path: a `.pth` or `.onnx` file.
        name: the style's name.

    Raises:
        StyleFileError: if the file cannot be read or belongs to no network that we know.
    """
    if path.suffix.lower() not in IMPORTABLE_SUFFIXES:
        raise StyleFileError(
            f"{path} has no suffix of a weights file.", f"{', '.join(IMPORTABLE_SUFFIXES)} can be imported."
        )
    read = read_onnx if path.suffix.lower() == ".onnx" else read_pth
    weights = {key: value for key, value in read(path).items() if not _UNUSED.fullmatch(key)}
    network = _recognise(weights)
    check_weights(weights, network, {})
    return StyleFile(StyleMetadata(name=name, network=network, source=path.name), weights)


def _recognise(weights: Mapping[str, NDArray[np.floating[Any]]]) -> str:
    """Name the network that most of the parameters belong to."""
    shared = {network: len(weights.keys() & parameter_shapes(network, {}).keys()) for network in NETWORK_DEFAULTS}
    best = max(shared, key=lambda network: shared[network])
    if shared[best] == 0:
        raise StyleFileError(
            f"These weights belong to no network that stylekit knows ({', '.join(NETWORK_DEFAULTS)}).",
            "Those of pytorch/examples' fast_neural_style are among the ones it does.",
        )
    return best
