"""Import weights that other programs wrote. Only plain tensors are unpickled."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from stylekit.errors import StyleFileError
from stylekit.networks import architectures
from stylekit.networks.checkpoints import read_pth
from stylekit.styles.names import IMPORTABLE_SUFFIXES, SUFFIX, weights_suffix
from stylekit.styles.style_file import (
    StyleFile,
    StyleMetadata,
    StyleWeights,
    check_weights,
    open_tensors,
    read_tensors,
)

# Before torch 0.4, instance normalizations stored running statistics without using them.
_UNUSED = re.compile(r".*\.(running_mean|running_var|num_batches_tracked)")
_LOSS_NETWORK = re.compile(r"features\.\w+\.(weight|bias)")


def import_weights(path: Path, name: str) -> StyleFile:
    """Read another program's weights as a style of a network that stylekit supports.

    Args:
        path: A PyTorch, ONNX or safetensors file; see `names.IMPORTABLE_SUFFIXES`.
        name: The name to give to the style.

    Raises:
        StyleFileError: If the file cannot be read, or belongs to an unknown network.
    """
    suffix = weights_suffix(path)
    if not suffix:
        raise StyleFileError(
            f"{path} does not have a supported suffix.",
            f"Supported suffixes: {', '.join(IMPORTABLE_SUFFIXES)}.",
        )
    if suffix == ".onnx":
        from stylekit.styles.onnx_import import read_onnx

        return read_onnx(path, name)
    tensors = _read_safetensors(path) if suffix == SUFFIX else read_pth(path)
    if any(_LOSS_NETWORK.fullmatch(key) for key in tensors):
        raise StyleFileError(
            f"{path} contains the weights of a loss network (VGG), not of a style.",
            f"To train with it: `stylekit train PAINTING --content PHOTOS --loss-weights {path}`.",
        )
    network, weights = _recognized({key: array for key, array in tensors.items() if not _UNUSED.fullmatch(key)})
    check_weights(weights, network, {})
    return StyleFile(StyleMetadata(name=name, network=network, source=path.name), weights)


def _read_safetensors(path: Path) -> StyleWeights:
    with open_tensors(path) as file:
        if "state" in (file.metadata() or {}):
            raise _checkpoint_error(path)
        return read_tensors(file, path)


def _checkpoint_error(path: Path) -> StyleFileError:
    """Return the error for a file that is a training checkpoint of stylekit."""
    finished = [file for file in path.parent.glob(f"*{SUFFIX}") if file != path]
    if finished:
        hint = f"Import the finished style: `stylekit styles import {finished[0]} --name NAME`."
    else:
        hint = "Repeat the training command with --resume to finish it."
    return StyleFileError(f"{path} is a checkpoint of an unfinished training run, not a style.", hint)


def _recognized(tensors: Mapping[str, NDArray[Any]]) -> tuple[str, StyleWeights]:
    """Return the name of the network that most tensors belong to, and its weights by parameter name.

    If the network is part of a larger model, the prefix of the network is removed from the names, and all other tensors
    are dropped.
    """
    shared: dict[tuple[str, str], int] = {}
    for network in architectures():
        names = network.parameter_shapes({}).keys()
        for prefix in _prefixes(tensors.keys(), next(iter(names))):
            shared[network.name, prefix] = sum(prefix + name in tensors for name in names)
    best, prefix = max(shared, key=lambda key: shared[key])
    if shared[best, prefix] == 0:
        known = ", ".join(network.name for network in architectures())
        raise StyleFileError(
            f"These weights do not match any network that stylekit supports ({known}).",
            "For example, weights from pytorch/examples' fast_neural_style can be imported.",
        )
    return best, {key.removeprefix(prefix): array for key, array in tensors.items() if key.startswith(prefix)}


def _prefixes(keys: Collection[str], name: str) -> list[str]:
    """Return the prefixes under which a parameter's name occurs among the keys, including the empty prefix."""
    return ["", *(key.removesuffix(name) for key in keys if key.endswith(f".{name}"))]
