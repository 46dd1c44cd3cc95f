"""Where loss networks' weights come from: the package, a file of the user's, the cache, or torchvision's own file."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from stylekit.downloads.download import Progress, fetch
from stylekit.errors import DownloadError, LossWeightsError, StyleFileError
from stylekit.losses.layers import VGG19_LAYERS, compact_shapes
from stylekit.networks.checkpoints import read_pth
from stylekit.system.files import atomic_write
from stylekit.system.locks import locked
from stylekit.system.paths import cache_dir

VGG19_URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
VGG19_SHA256 = "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"

Weights = dict[str, NDArray[Any]]


def find_loss_weights(
    path: Path | str | None = None, network: str = "vgg19", *, on_progress: Progress = lambda done, total: None
) -> Path:
    """Return the file with a loss network's weights.

    Those of VGG-19 are the user's own or else in the cache, downloaded if need be.

    Args:
        path: a `.safetensors` or `.pth` file with VGG-19's convolutions, also one that stops at a lower layer.
        network: `vgg19` or `compact`.
        on_progress: called after each piece of a download.

    Raises:
        LossWeightsError: if the file is absent, or none is cached and it cannot be downloaded.
    """
    if network == "compact":
        return compact_weights_path()
    if path is not None:
        if not Path(path).is_file():
            raise LossWeightsError(
                f"The loss weights {path} do not exist.", "Leave out --loss-weights to download them."
            )
        return Path(path)
    cached = loss_weights_path()
    if not _is_sound(cached):
        _download(cached, on_progress)
    return cached


def _is_sound(path: Path) -> bool:
    """Whether the cached file is there and whole."""
    try:
        with safe_open(path, framework="numpy") as file:
            return bool(file.keys())
    except (SafetensorError, OSError):
        return False


def _download(target: Path, on_progress: Progress) -> None:
    published = cache_dir() / "weights" / VGG19_URL.rpartition("/")[2]
    try:
        with locked(target):
            if _is_sound(target):  # another process has fetched it meanwhile
                return
            fetch(VGG19_URL, published, sha256=VGG19_SHA256, on_progress=on_progress)
            weights = read_loss_weights(published)
            with atomic_write(target) as temporary:
                temporary.write_bytes(save(weights))
            published.unlink()
    except DownloadError as error:
        raise LossWeightsError(
            f"VGG-19's weights are not in the cache and cannot be downloaded: {error.message}",
            "Use --loss-network compact, which needs no download; or fetch them on any machine from "
            f"{VGG19_URL} and name the file with --loss-weights, or place it at {published}.",
        ) from None
    except (OSError, SafetensorError) as error:
        raise LossWeightsError(f"{target} cannot be written: {error}.", "Is there room in the cache?") from None


def read_loss_weights(path: Path) -> Weights:
    """Read a loss network's weights from a safetensors or `.pth` file; VGG-19's classifier is left out.

    Returns:
        float32 arrays by name, as many as the file holds: torchvision's names for VGG-19.

    Raises:
        LossWeightsError: if the file is damaged or holds none of them.
    """
    if path.suffix == ".safetensors":
        try:
            state: Weights = load_file(path)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError):
            cure = "Install stylekit again." if path == compact_weights_path() else "Delete the file and try again."
            raise LossWeightsError(f"The loss weights {path} are damaged.", cure) from None
    else:
        try:
            state = read_pth(path)
        except StyleFileError as error:
            raise LossWeightsError(
                error.message, "Use torchvision's vgg19 file, or its convolutions as safetensors."
            ) from None
    names = {name for convolution in VGG19_LAYERS.values() for name in convolution.shapes} | compact_shapes().keys()
    weights = {name: np.ascontiguousarray(array, np.float32) for name, array in state.items() if name in names}
    if not weights:
        raise LossWeightsError(f"{path} does not hold VGG-19's convolutions (features.0.weight …).")
    return weights


def loss_weights_path() -> Path:
    """The file in which VGG-19's convolutions are kept."""
    return cache_dir() / "weights" / "vgg19.safetensors"


def compact_weights_path() -> Path:
    """The compact loss network's file, which ships with the package."""
    return Path(__file__).with_name("compact.safetensors")
