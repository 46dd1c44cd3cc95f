"""`stylekit info`: show versions, devices and folders, or the recipe of a result."""

import platform
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from stylekit._version import __version__
from stylekit.cli import options
from stylekit.cli.console import Output, file_size, flat, table
from stylekit.cli.parsing import check_images
from stylekit.errors import ImageError

_PACKAGES = (
    *("torch", "torchvision", "numpy", "onnx", "onnxruntime"),
    *("av", "pillow", "pillow-heif", "safetensors"),
)


def info(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Result to describe: an image or a video.", show_default=False)
    ] = None,
    devices: Annotated[bool, typer.Option("--devices/--no-devices", help="Test which devices work.")] = True,
    json: options.Json = False,
) -> None:
    """Show versions, devices and folders, or how a result was painted.

    Examples:
      stylekit info
      stylekit info --no-devices --json
      stylekit info lion-udnie.jpg

    Please include the output in bug reports.
    """
    console = Output(as_json=json)
    if file is not None:
        _show_recipe(console, file)
        return
    document = _document(devices)
    console.document(document)
    for line in table(list(flat({**document, "free memory": file_size(document["free memory"])}))):
        console.result(line)


def _show_recipe(console: Output, file: Path) -> None:
    from stylekit.apply.repeats import read_painting

    check_images([file])
    recipe = read_painting(file)
    if recipe is None:
        raise ImageError(
            f"{file} has no recipe.",
            "Recipes are stored in results of `stylekit apply` and `stylekit gatys`, except in BMP and GIF files "
            "or with --strip-metadata.",
        )
    console.document({"file": str(file), "recipe": recipe})
    styles = {part["name"]: f"{part.get('share', 1)} ({_checksum(part)})" for part in recipe["styles"]}
    for line in table(list(flat({**recipe, "styles": styles}))):
        console.result(line)


def _checksum(part: dict[str, Any]) -> str:
    """Return the beginning of the checksum of a style's weights or of a painting."""
    kind = "painting" if "painting_sha256" in part else "weights"
    return f"{kind} {part[f'{kind}_sha256'][:12]}"


def _document(devices: bool) -> dict[str, Any]:
    from stylekit.losses.weights import loss_weights_path
    from stylekit.styles.catalog import local_styles
    from stylekit.styles.locations import bundled_styles_dir, downloaded_styles_dir, own_styles_dir
    from stylekit.system.memory import free_memory
    from stylekit.system.processors import usable_cores

    document: dict[str, Any] = {
        "stylekit": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu cores": usable_cores(),
        "free memory": free_memory("cpu"),
        "packages": {name: _version(name) for name in _PACKAGES},
        "folders": {
            "styles of your own": str(own_styles_dir()),
            "cached styles": str(downloaded_styles_dir()),
            "bundled styles": str(bundled_styles_dir()),
        },
        "styles": dict(Counter(entry.where for entry in local_styles())),
        "loss weights": str(loss_weights_path()) if loss_weights_path().is_file() else None,
    }
    if devices:
        from stylekit.system.devices import available_devices

        document["devices"] = available_devices()
    return document


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # takes 10 ms to import

    try:
        return version(package)
    except PackageNotFoundError:
        return None
