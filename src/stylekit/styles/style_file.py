"""Read and write style files, which contain the weights and metadata of a trained transformer network."""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from stylekit.errors import ConfigError, StyleFileError
from stylekit.networks import architecture
from stylekit.styles.names import check_style_name
from stylekit.styles.packing import pack, unpack
from stylekit.system.files import atomic_write, writing

FORMAT = "stylekit-style-1"
_HASH_KEY = "weights_sha256"
StyleWeights = dict[str, NDArray[np.floating[Any]]]


@dataclass(frozen=True, kw_only=True)
class Credits:
    """Who made a style's painting and weights.

    Attributes:
        title: The painting's title.
        artist: The painter.
        year: The year of the painting.
        licence: The license of the weights.
        source: Where the painting or the weights come from.
    """

    title: str = ""
    artist: str = ""
    year: str = ""
    licence: str = ""
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class StyleMetadata(Credits):
    """The metadata of a style file, including the credits.

    Attributes:
        name: The style's name; matches `[a-z0-9][a-z0-9_-]{0,63}`.
        network: The name of the style's transformer network; see `networks.architectures`.
        network_config: The network's settings.
        trained_with: The recipe: training settings, number of steps, final losses, loss network and version.
        downloaded: The `url` and `sha256` of the published file; empty if the style was not downloaded.
    """

    name: str
    network: str
    network_config: dict[str, int] = field(default_factory=dict)
    trained_with: dict[str, Any] = field(default_factory=dict)
    downloaded: dict[str, str] = field(default_factory=dict)

    @property
    def credits(self) -> Credits:
        """The credits, without the other metadata."""
        return Credits(**{f.name: getattr(self, f.name) for f in dataclasses.fields(Credits)})

    def to_strings(self) -> dict[str, str]:
        """Return the metadata as safetensors stores them: strings by name, with objects as JSON."""
        values = {key: v if isinstance(v, str) else json.dumps(v) for key, v in dataclasses.asdict(self).items()}
        return {"format": FORMAT, **values}

    @classmethod
    def from_strings(cls, strings: Mapping[str, str]) -> "StyleMetadata":
        """Parse and check the metadata of a safetensors file.

        Raises:
            StyleFileError: If the metadata has another format, or is incomplete or malformed.
        """
        if strings.get("format") != FORMAT:
            raise StyleFileError(
                f"Not a style file: its format is {strings.get('format', 'missing')!r}, not {FORMAT!r}.",
                "Import other programs' weights with `stylekit styles import FILE --name NAME`.",
            )
        values: dict[str, Any] = {f.name: strings[f.name] for f in dataclasses.fields(cls) if f.name in strings}
        try:
            for key in ("network_config", "trained_with", "downloaded"):
                values[key] = json.loads(values.get(key) or "{}")
                if not isinstance(values[key], dict):
                    raise StyleFileError(f"The style file's {key} is not a JSON object.")
            check_style_name(values.get("name", ""))
            architecture(values.get("network", "")).parameter_shapes(values["network_config"])
        except (ValueError, RecursionError):
            raise StyleFileError("The style file's metadata is not JSON.") from None
        except ConfigError as error:
            raise StyleFileError(f"The style file's metadata is invalid: {error.message}", error.hint) from error
        return cls(**values)


@dataclass(frozen=True)
class StyleFile:
    """The content of a style file.

    Attributes:
        metadata: Name, network, credits and recipe.
        weights: The network's parameters by name.
    """

    metadata: StyleMetadata
    weights: StyleWeights

    @cached_property
    def weights_sha256(self) -> str:
        """The hash of the weights; see `weights_hash`."""
        return weights_hash(self.weights)


def check_weights(weights: Mapping[str, NDArray[Any]], network: str, config: Mapping[str, Any]) -> None:
    """Check that weights match a network's parameters exactly, and are finite.

    Args:
        weights: Arrays by parameter name.
        network: The network's name.
        config: The network's settings that differ from its defaults.

    Raises:
        StyleFileError: If a parameter is missing, unknown, of the wrong shape or type, or not finite.
        ConfigError: If the network or a setting is unknown.
    """
    shapes = architecture(network).parameter_shapes(config)
    if missing := sorted(shapes.keys() - weights.keys()):
        raise StyleFileError(f"Missing weights for {network}: {_some(missing)}.")
    if unknown := sorted(weights.keys() - shapes.keys()):
        raise StyleFileError(f"Unexpected weights for {network}: {_some(unknown)}.")
    for name, shape in shapes.items():
        array = weights[name]
        if array.shape != shape:
            raise StyleFileError(f"{name} has shape {array.shape}, not {shape}.")
        if array.dtype not in (np.float16, np.float32, np.float64):
            raise StyleFileError(f"{name} has {array.dtype} values, not floating-point numbers.")
        if not np.isfinite(array).all():
            raise StyleFileError(
                f"{name} has values that are not finite.", "The file is corrupt, or training diverged."
            )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an `OSError` that is raised while a style's file is read into a `StyleFileError`.

    Raises:
        StyleFileError: If the block raises an `OSError`.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise StyleFileError(f"{path} does not exist.", "Check the path.") from error
    except OSError as error:
        hint = "Check its permissions." if isinstance(error, PermissionError) else "Check that it is a file."
        raise StyleFileError(f"Cannot read {path}: {error.strerror or error}.", hint) from error


def open_tensors(path: Path) -> Any:
    """Open a safetensors file, as `safetensors.safe_open` does.

    Raises:
        StyleFileError: If the file does not exist, cannot be read, or is corrupt.
    """
    with reading(path):
        path.open("rb").close()  # safetensors reports a file without read permission as missing
    try:
        return safe_open(path, framework="numpy")
    except (SafetensorError, OSError, ValueError) as error:
        raise StyleFileError(
            f"{path} is corrupt, or not a safetensors file.", "Pull or train the style again."
        ) from error


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Prefix the message of a `StyleFileError` raised in the block with the file's path."""
    try:
        yield
    except StyleFileError as error:
        raise StyleFileError(f"{path}: {error.message}", error.hint) from error


def is_style_file(path: Path) -> bool:
    """Return whether a safetensors file declares itself a style file, in any version of the format.

    Raises:
        StyleFileError: If the file does not exist, cannot be read, or is corrupt.
    """
    with open_tensors(path) as file:
        strings: dict[str, str] = file.metadata() or {}
        return strings.get("format", "").startswith(FORMAT.rstrip("0123456789"))


def read_metadata(path: Path) -> StyleMetadata:
    """Read a style file's metadata without its weights.

    Raises:
        StyleFileError: If the file does not exist, cannot be read, is corrupt or is not a style file.
    """
    with open_tensors(path) as file, _naming(path):
        return StyleMetadata.from_strings(file.metadata() or {})


def load_style_file(path: Path) -> StyleFile:
    """Read and check a style file. Nothing in it is executed.

    Raises:
        StyleFileError: If the file does not exist, cannot be read, is corrupt or is not a style file, or if its weights
            do not match its network.
    """
    with open_tensors(path) as file:
        strings = file.metadata() or {}
        with _naming(path):
            metadata = StyleMetadata.from_strings(strings)
        weights = unpack(read_tensors(file, path))
    with _naming(path):
        check_weights(weights, metadata.network, metadata.network_config)
        style = StyleFile(metadata, weights)
        if _HASH_KEY in strings and style.weights_sha256 != strings[_HASH_KEY]:
            raise StyleFileError("The weights are corrupt: checksum mismatch.", "Pull or train the style again.")
    return style


def read_tensors(file: Any, path: Path) -> StyleWeights:
    """Return the tensors of a safetensors file by name.

    Args:
        file: The open file, from `open_tensors`.
        path: The file's path, for error messages.

    Raises:
        StyleFileError: If a tensor has a type that NumPy does not support.
    """
    try:
        return {name: file.get_tensor(name) for name in list(file.keys())}
    except (SafetensorError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise StyleFileError(f"{path} contains tensors of an unsupported type.") from error


def save_style_file(style: StyleFile, path: Path) -> None:
    """Write a style file atomically.

    Raises:
        StyleFileError: If the weights do not match the network, or the file cannot be written.
    """
    StyleMetadata.from_strings(style.metadata.to_strings())
    check_weights(style.weights, style.metadata.network, style.metadata.network_config)
    arrays = pack({name: np.ascontiguousarray(array) for name, array in style.weights.items()})
    strings = {**style.metadata.to_strings(), _HASH_KEY: weights_hash(unpack(arrays))}
    with writing(path, StyleFileError), atomic_write(path) as temporary:
        # `save_file` would create a file that other users cannot read
        temporary.write_bytes(save(arrays, strings))


def weights_hash(weights: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of all parameters, sorted by name. A mismatch reveals a corrupt file."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(f"{name} {weights[name].dtype} {weights[name].shape}".encode())
        digest.update(np.ascontiguousarray(weights[name]).data)
    return digest.hexdigest()
