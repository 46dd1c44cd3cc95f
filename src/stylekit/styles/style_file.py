"""Style files: a trained transformer network with its metadata, as safetensors."""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from stylekit.errors import ConfigError, StyleFileError
from stylekit.networks import architecture
from stylekit.styles.names import check_style_name
from stylekit.system.files import atomic_write

FORMAT = "stylekit-style-1"
_HASH_KEY = "weights_sha256"
Weights = dict[str, NDArray[np.floating[Any]]]


@dataclass(frozen=True, kw_only=True)
class Credits:
    """Whose work a style is.

    Attributes:
        title: the painting's title.
        artist: its painter.
        year: when it was painted.
        licence: the licence of the weights.
        source: where painting or weights come from.
    """

    title: str = ""
    artist: str = ""
    year: str = ""
    licence: str = ""
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class StyleMetadata(Credits):
    """What a style file says about itself, its credits among it.

    Attributes:
        name: matches `[a-z0-9][a-z0-9_-]*`.
        network: `fast` or `johnson`.
        network_config: the network's settings.
        trained_with: the recipe: all training settings, steps, losses reached, loss network, version.
        downloaded: `url` and `sha256` of the published file that it was made from; empty for others.
    """

    name: str
    network: str
    network_config: dict[str, int] = field(default_factory=dict)
    trained_with: dict[str, Any] = field(default_factory=dict)
    downloaded: dict[str, str] = field(default_factory=dict)

    @property
    def credits(self) -> Credits:
        """The credits alone."""
        return Credits(**{f.name: getattr(self, f.name) for f in dataclasses.fields(Credits)})

    def to_strings(self) -> dict[str, str]:
        """Return safetensors' string map."""
        values = {key: v if isinstance(v, str) else json.dumps(v) for key, v in dataclasses.asdict(self).items()}
        return {"format": FORMAT, **values}

    @classmethod
    def from_strings(cls, strings: Mapping[str, str]) -> "StyleMetadata":
        """Read and check safetensors' string map.

        Raises:
            StyleFileError: if it is of another format, incomplete or malformed.
        """
        if strings.get("format") != FORMAT:
            raise StyleFileError(
                f"Not a style file: its format is {strings.get('format', 'missing')!r}, not {FORMAT!r}.",
                "Weights of other programs are turned into one by `stylekit styles import FILE --name NAME`.",
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
            raise StyleFileError(f"The style file's metadata is wrong: {error.message}", error.hint) from None
        return cls(**values)


@dataclass(frozen=True)
class StyleFile:
    """A style as it lies in a file: metadata and weights by parameter name."""

    metadata: StyleMetadata
    weights: Weights


def check_weights(weights: Mapping[str, NDArray[Any]], network: str, config: Mapping[str, Any]) -> None:
    """Make sure that weights are exactly a network's parameters, and finite.

    Raises:
        StyleFileError: naming what is missing, unknown, of wrong shape or not finite.
        ConfigError: if the network or a setting is unknown.
    """
    shapes = architecture(network).parameter_shapes(config)
    if missing := sorted(shapes.keys() - weights.keys()):
        raise StyleFileError(f"Weights of {network} are missing: {_some(missing)}.")
    if unknown := sorted(weights.keys() - shapes.keys()):
        raise StyleFileError(f"Weights that {network} does not know: {_some(unknown)}.")
    for name, shape in shapes.items():
        array = weights[name]
        if array.shape != shape:
            raise StyleFileError(f"{name} has the shape {array.shape}, not {shape}.")
        if array.dtype not in (np.float16, np.float32, np.float64):
            raise StyleFileError(f"{name} holds {array.dtype} values, not floating-point numbers.")
        if not np.isfinite(array).all():
            raise StyleFileError(
                f"{name} holds values that are not finite.", "The file is damaged, or its training diverged."
            )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="numpy")
    except FileNotFoundError:
        raise StyleFileError(f"{path} does not exist.", "See `stylekit styles list` for the styles at hand.") from None
    except (SafetensorError, OSError, ValueError):
        raise StyleFileError(
            f"{path} is not a safetensors file, or it is damaged.", "Delete it, and fetch or train it anew."
        ) from None


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except StyleFileError as error:
        raise StyleFileError(f"{path}: {error.message}", error.hint) from None


def read_metadata(path: Path) -> StyleMetadata:
    """Read a style file's metadata without its weights.

    Raises:
        StyleFileError: if the file is absent, damaged or no style file.
    """
    with _open(path) as file, _naming(path):
        return StyleMetadata.from_strings(file.metadata() or {})


def load_style_file(path: Path) -> StyleFile:
    """Read and check a style file. Nothing in it is executed.

    Raises:
        StyleFileError: if the file is absent, damaged, no style file, or does not hold its network's parameters.
    """
    with _open(path) as file:
        with _naming(path):
            metadata = StyleMetadata.from_strings(file.metadata() or {})
        try:
            weights = {name: file.get_tensor(name) for name in list(file.keys())}
        except (SafetensorError, TypeError, ValueError, KeyError, AttributeError):
            raise StyleFileError(f"{path} holds tensors of a type that no style has.") from None
        expected = (file.metadata() or {}).get(_HASH_KEY)
    with _naming(path):
        check_weights(weights, metadata.network, metadata.network_config)
        if expected is not None and weights_hash(weights) != expected:
            raise StyleFileError(
                "The weights are damaged: their hash is another.", "Delete it, and fetch or train it anew."
            )
    return StyleFile(metadata, weights)


def save_style_file(style: StyleFile, path: Path) -> None:
    """Write a style file, whole or not at all.

    Raises:
        StyleFileError: if the weights are not the network's, or the file cannot be written.
    """
    StyleMetadata.from_strings(style.metadata.to_strings())
    check_weights(style.weights, style.metadata.network, style.metadata.network_config)
    arrays = {name: np.ascontiguousarray(array) for name, array in style.weights.items()}
    try:
        with atomic_write(path) as temporary:
            # not save_file, which would hide it from other users
            temporary.write_bytes(save(arrays, {**style.metadata.to_strings(), _HASH_KEY: weights_hash(arrays)}))
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StyleFileError(
            f"{path} cannot be written: {reason}.", "Is there room, and may you write there?"
        ) from None


def weights_hash(weights: Mapping[str, NDArray[Any]]) -> str:
    """The SHA-256 over all parameters in the order of their names: a file that rots on its disk is noticed."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(f"{name} {weights[name].dtype} {weights[name].shape}".encode())
        digest.update(np.ascontiguousarray(weights[name]).data)
    return digest.hexdigest()


def half_precision(weights: Mapping[str, NDArray[Any]]) -> Weights:
    """Return weights with convolution kernels in half precision, biases and norms in float32."""
    return {name: array.astype(np.float16 if array.ndim == 4 else np.float32) for name, array in weights.items()}
