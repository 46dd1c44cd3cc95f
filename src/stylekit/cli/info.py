"""`stylekit info`: devices, versions, folders, what is downloaded."""

import platform
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

from stylekit._version import __version__
from stylekit.cli import options
from stylekit.cli.console import Output, flat, table
from stylekit.losses.weights import loss_weights_path
from stylekit.styles.catalog import styles_at_hand
from stylekit.styles.locations import bundled_styles_dir, downloaded_styles_dir, own_styles_dir

_PACKAGES = ("torch", "torchvision", "numpy", "onnx", "onnxruntime", "pillow", "pillow-heif", "safetensors")


def info(
    devices: Annotated[bool, typer.Option("--devices/--no-devices", help="Look for devices.")] = True,
    json: options.Json = False,
) -> None:
    """Show devices, versions, folders, and what is downloaded: what a bug report needs."""
    console = Output(as_json=json)
    document = _document(devices)
    console.document(document)
    for line in table(list(flat(document))):
        console.result(line)


def _document(devices: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "stylekit": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "folders": {
            "styles of your own": str(own_styles_dir()),
            "cached styles": str(downloaded_styles_dir()),
            "bundled styles": str(bundled_styles_dir()),
        },
        "styles": dict(Counter(entry.where for entry in styles_at_hand())),
        "loss weights": str(loss_weights_path()) if loss_weights_path().is_file() else None,
    }
    if devices:
        from stylekit.system.devices import available_devices

        document["devices"] = available_devices()
    return document


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
