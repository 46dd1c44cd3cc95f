"""Other programs' weights to style files. Nothing is unpickled beyond plain tensors, and nothing is executed."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from stylekit.errors import StyleFileError
from stylekit.networks import Architecture, architecture, architectures
from stylekit.networks.checkpoints import read_pth
from stylekit.styles.names import IMPORTABLE_SUFFIXES
from stylekit.styles.style_file import StyleFile, StyleMetadata, check_weights

# Instance norms of torch before 0.4 kept running statistics that they never used.
_UNUSED = re.compile(r".*\.(running_mean|running_var|num_batches_tracked)")


def import_weights(path: Path, name: str) -> StyleFile:
    """Read weights that another program published for a network that stylekit has.

    Args:
        path: A `.pth` or `.onnx` file.
        name: The style's name.

    Raises:
        StyleFileError: If the file cannot be read, or belongs to no known network.
    """
    if path.suffix.lower() not in IMPORTABLE_SUFFIXES:
        raise StyleFileError(
            f"{path} does not have the suffix of a weights file.",
            f"stylekit imports {', '.join(IMPORTABLE_SUFFIXES)}.",
        )
    if path.suffix.lower() == ".onnx":
        metadata, weights = read_onnx(path, name)
    else:
        weights = {key: value for key, value in read_pth(path).items() if not _UNUSED.fullmatch(key)}
        metadata = StyleMetadata(name=name, network=_recognized(weights), source=path.name)
    check_weights(weights, metadata.network, metadata.network_config)
    return StyleFile(metadata, weights)


def _recognized(names: Collection[str]) -> str:
    """Return the name of the network that most parameters of these names belong to."""
    shared = {network.name: len(network.parameter_shapes({}).keys() & set(names)) for network in architectures()}
    best = max(shared, key=lambda name: shared[name])
    if shared[best] == 0:
        raise StyleFileError(
            f"These weights belong to none of the networks that stylekit has ({', '.join(shared)}).",
            "Weights of pytorch/examples' fast_neural_style, for example, can be imported.",
        )
    return best


def read_onnx(path: Path, name: str) -> tuple[StyleMetadata, dict[str, NDArray[Any]]]:
    """Read the weights of an ONNX graph, and which network they are of.

    A graph that stylekit exported says so itself. Others are taken for the network whose parameters' names they kept,
    or else for one that other programs publish, by the order of its convolutions and instance norms. In between, a
    graph may pad, resize and crop as it likes: exports differ in that.

    Args:
        path: The ONNX file.
        name: The style's name.

    Raises:
        StyleFileError: If it is not an ONNX file, keeps its weights in other files, or is of an unknown network.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError):
        raise StyleFileError(f"{path} is damaged or not an ONNX file.", "Download or export it again.") from None
    nodes = model.graph.node
    constants = {node.output[0]: a.t for node in nodes if node.op_type == "Constant" for a in node.attribute if a.t}
    tensors = {tensor.name: tensor for tensor in model.graph.initializer} | constants
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors.values()):
        raise StyleFileError(f"{path} keeps its weights in other files.", "Export it with the weights inside.")
    strings = {property.key: property.value for property in model.metadata_props}
    if "format" in strings:
        metadata = StyleMetadata.from_strings({**strings, "name": name})
        names = {slot: slot for slot in architecture(metadata.network).parameter_shapes(metadata.network_config)}
    else:
        network, names = _names_by_slot(nodes, tensors.keys())
        metadata = StyleMetadata(name=name, network=network, source=path.name)
    try:
        return metadata, {slot: onnx.numpy_helper.to_array(tensors[tensor]) for slot, tensor in names.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise StyleFileError(f"{path} has a convolution or norm without readable weights: {error}.") from None


def _names_by_slot(nodes: Iterable[Any], tensors: Collection[str]) -> tuple[str, dict[str, str]]:
    """Return the network that a graph is of, and the names of the tensors that are its parameters."""
    for network in architectures():
        slots = network.parameter_shapes({}).keys()
        if slots <= set(tensors):
            return network.name, {slot: slot for slot in slots}
    nodes = list(nodes)
    problems: list[StyleFileError] = []
    for network in (network for network in architectures() if network.is_published_as_onnx):
        try:
            return network.name, _by_order(nodes, network)
        except StyleFileError as error:
            problems.append(error)
    raise problems[0]


def _by_order(nodes: Iterable[Any], network: Architecture) -> dict[str, str]:
    """Return the names of the tensors that feed the convolutions and instance norms, each kind in the graph's order."""
    nodes = list(nodes)
    shapes = network.parameter_shapes({})
    found: dict[str, str] = {}
    for kind, dimensions in (("Conv", 4), ("InstanceNormalization", 1)):
        layers = [
            slot.removesuffix(".weight")
            for slot, shape in shapes.items()
            if slot.endswith(".weight") and len(shape) == dimensions
        ]
        inputs = [node.input for node in nodes if node.op_type == kind]
        if len(inputs) != len(layers):
            raise StyleFileError(
                f"The graph is of another network: it has {len(inputs)} {kind} nodes, {network.name} {len(layers)}.",
                "Published fast_neural_style graphs, such as those of the ONNX model zoo, can be imported.",
            )
        for layer, names in zip(layers, inputs, strict=True):
            weight, bias = (*names, "", "")[1:3]
            found |= {f"{layer}.weight": weight, f"{layer}.bias": bias}
    return found
