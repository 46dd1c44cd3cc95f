"""The loss networks' weights: shipped with the package, given by the user, cached, or downloaded from torchvision."""

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from stylekit.downloads.announcement import Download, OnDownload, announced, ignore_download
from stylekit.downloads.download import fetch
from stylekit.errors import DownloadError, LossWeightsError, StyleFileError
from stylekit.losses.layers import VGG19_LAYERS, check_weights_reach, compact_shapes
from stylekit.networks.checkpoints import read_pth
from stylekit.system.files import atomic_write, writing
from stylekit.system.locks import locked
from stylekit.system.paths import OTHER_HOME, cache_dir

VGG19_URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
VGG19_SHA256 = "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"
VGG19_SIZE = 574_673_361  # bytes, of which 80 MB of convolutions are kept

_OTHER_WEIGHTS = "Use torchvision's vgg19 file, or its convolutions as safetensors."
_PYTORCH_BEGINNINGS = (b"PK", b"\x80")  # of a zip archive, or of a pickle from torch before 1.6


def find_loss_weights(
    path: Path | str | None = None, network: str = "vgg19", *, on_download: OnDownload = ignore_download
) -> Path:
    """Return the file with a loss network's weights, downloading it for VGG-19 unless it is given or cached.

    Args:
        path: A `.safetensors` or `.pth` file with VGG-19's convolutions, or only the lower ones.
        network: `vgg19` or `compact`.
        on_download: Called before a download starts.

    Raises:
        LossWeightsError: If the file does not exist, or VGG-19 is not cached and cannot be downloaded.
    """
    if network == "compact":
        return compact_weights_path()
    if path is not None:
        if not Path(path).is_file():
            raise LossWeightsError(
                f"The loss weights file {path} does not exist.",
                "Check the path, or leave out --loss-weights.",
            )
        return Path(path)
    cached = loss_weights_path()
    if not _is_complete(cached):
        _download(cached, on_download)
    return cached


def check_loss_weights(path: Path | str | None, network: str, layers: Collection[str]) -> None:
    """Check VGG-19's weights as thoroughly as is possible without torch and without a download.

    Args:
        path: See `find_loss_weights`.
        network: See `find_loss_weights`.
        layers: The layers that the losses use.

    Raises:
        LossWeightsError: If the file does not exist, cannot be read, has another format, or ends before the highest of
            the layers.
    """
    if network == "compact":
        return
    if path is None:
        _is_complete(loss_weights_path())
        return
    file = find_loss_weights(path)
    with _reading(file):
        if file.suffix == ".safetensors":
            with _open_safetensors(file) as weights:
                names = list(weights.keys())
            _check_names(names, file)
            check_weights_reach(names, layers)
            return
        with file.open("rb") as stream:
            if not stream.read(2).startswith(_PYTORCH_BEGINNINGS):
                raise LossWeightsError(f"{file} is not a PyTorch file.", _OTHER_WEIGHTS)


def read_loss_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read a loss network's weights from a safetensors or `.pth` file, without VGG-19's classifier.

    Returns:
        The loss network's weights in the file by name; for VGG-19, by torchvision's names.

    Raises:
        LossWeightsError: If the file cannot be read, is corrupt, or has no weights of a loss network.
    """
    with _reading(path):
        path.open("rb").close()  # safetensors and torch report a missing permission as a missing or corrupt file
        state = load_file(path) if path.suffix == ".safetensors" else read_pth(path)
    return {name: np.ascontiguousarray(state[name], np.float32) for name in _check_names(state, path)}


def _check_names(names: Collection[str], path: Path) -> list[str]:
    """Return the names that belong to a loss network, from the names of the tensors in a file."""
    known = {name for convolution in VGG19_LAYERS.values() for name in convolution.shapes} | compact_shapes().keys()
    found = [name for name in names if name in known]
    if not found:
        raise LossWeightsError(f"{path} does not contain VGG-19's convolutions (features.0.weight …).", _OTHER_WEIGHTS)
    return found


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn exceptions raised while loss weights are read into `LossWeightsError`s."""
    try:
        yield
    except OSError as error:
        raise LossWeightsError(
            f"Cannot read the loss weights {path}: {error.strerror or error}.", "Check the file's permissions."
        ) from error
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        remedy = "Check that the file is complete, or leave out --loss-weights to download VGG-19."
        if path == compact_weights_path():
            remedy = "Install stylekit again."
        elif path == loss_weights_path():
            remedy = "Delete the file, and run the command again to download it."
        raise LossWeightsError(f"The loss weights {path} are corrupt.", remedy) from error
    except StyleFileError as error:
        raise LossWeightsError(error.message, _OTHER_WEIGHTS) from error


def _is_complete(path: Path) -> bool:
    """Return whether the cached file exists and is not truncated.

    Raises:
        LossWeightsError: If the file exists but cannot be read.
    """
    missing = (FileNotFoundError, NotADirectoryError, SafetensorError)
    with _reading(path), contextlib.suppress(*missing), _open_safetensors(path) as file:
        return bool(file.keys())
    return False


def _open_safetensors(path: Path) -> Any:
    path.open("rb").close()  # safetensors reports a missing permission as a missing file
    return safe_open(path, framework="numpy")


def _download(target: Path, on_download: OnDownload) -> None:
    """Download VGG-19, and keep its convolutions in `target`."""
    published = cache_dir() / "weights" / VGG19_URL.rpartition("/")[2]
    on_progress = announced(Download("VGG-19", VGG19_SIZE, target), on_download)
    try:
        with locked(target, DownloadError, OTHER_HOME):
            if _is_complete(target):  # another process may have downloaded the weights in the meantime
                return
            fetch(VGG19_URL, published, sha256=VGG19_SHA256, on_progress=on_progress)
            weights = read_loss_weights(published)
            with writing(target, LossWeightsError, OTHER_HOME):
                with atomic_write(target) as temporary:
                    temporary.write_bytes(save(weights))
                published.unlink()
    except DownloadError as error:
        raise LossWeightsError(
            f"VGG-19's weights are not in the cache and cannot be downloaded: {error.message}",
            f"Use --loss-network compact, which needs no download. Or download {VGG19_URL} on any machine, and pass "
            f"the file with --loss-weights or move it to {published}.",
        ) from error


def loss_weights_path() -> Path:
    """Return the file in which VGG-19's convolutions are cached."""
    return cache_dir() / "weights" / "vgg19.safetensors"


def compact_weights_path() -> Path:
    """Return the compact loss network's file, which ships with the package."""
    return Path(__file__).with_name("compact.safetensors")
