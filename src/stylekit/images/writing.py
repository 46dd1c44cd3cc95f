"""Photos to image files, whole or not at all, with metadata."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stylekit.errors import ConfigError, ImageError
from stylekit.images.colors import on_white
from stylekit.images.errors import write_errors
from stylekit.images.formats import FORMATS
from stylekit.images.photo import Photo, photo_to_image
from stylekit.images.pillow import _register_heif, pillow, save_image
from stylekit.images.tiff import encode_tiff
from stylekit.system.files import atomic_write


def save_photo(
    photo: Photo, path: Path, *, format: str, quality: int, strip_metadata: bool = False, overwrite: bool = True
) -> tuple[str, ...]:
    """Write a picture, whole or not at all, with its metadata.

    EXIF states the size of `pixels`, which may differ from that of the photo that was read.

    Args:
        photo: the picture.
        path: the file to write; its suffix does not matter.
        format: a key of `FORMATS`.
        quality: 1 to 100, for the formats that know one.
        strip_metadata: whether EXIF and XMP are left out. Colour profile and resolution stay: they say how to show it.
        overwrite: whether an existing file is replaced.

    Returns:
        What the format could not hold, a short phrase each.

    Raises:
        ConfigError: if there is no such format.
        ImageError: if the format cannot hold a picture of that size, or the file cannot be written.
        OutputExists: if the file exists and `overwrite` is false.
    """
    output = FORMATS.get(format)
    if output is None:
        raise ConfigError(f"Unknown format {format!r}.", f"Use one of {', '.join(FORMATS)}.")
    if format == "heic":
        _register_heif(path.name)
    image = photo_to_image(photo)
    if max(image.size) > output.longest_side:
        raise ImageError(
            f"{path.name} cannot be written: {format.upper()} holds at most {output.longest_side:,} pixels a side, "
            f"not {image.width:,} × {image.height:,}.",
            "Write it as PNG or TIFF, or reduce it.",
        )
    if strip_metadata:
        image.info = {key: value for key, value in image.info.items() if key not in ("exif", "xmp")}
    notes = _leave_out(image.info, format)
    if photo.alpha is not None and not output.holds_alpha:
        image = on_white(image)
        notes.append(f"transparency laid on white: {format.upper()} has none")
    with (
        write_errors(path),
        pillow.set_for(image.width * image.height),
        atomic_write(path, overwrite=overwrite) as temporary,
    ):
        _encode(image, temporary, format, quality)
    return tuple(notes)


def check_writable(path: Path, *, format: str) -> None:
    """Make sure, before long work, that a picture can be written there: an encoder and a folder are at hand.

    Nothing stays: a small one is written beside where it would be.

    Raises:
        ConfigError: if there is no such format.
        ImageError: if it cannot.
    """
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    with write_errors(path), tempfile.TemporaryDirectory(prefix=".stylekit-", dir=folder) as trial:
        save_photo(Photo(np.zeros((64, 64, 3), np.uint8)), Path(trial) / path.name, format=format, quality=1)


def _leave_out(info: dict[str | tuple[int, int], Any], format: str) -> list[str]:
    """Remove the metadata that the format has no room for, and say so."""
    notes = []
    room = FORMATS[format].most_metadata
    for key in ("exif", "xmp"):
        if room is not None and len(info.get(key, b"")) > room:
            del info[key]
            reason = f"too large for {format.upper()}" if room else f"{format.upper()} has no place for it"
            notes.append(f"{key.upper()} left out: {reason}")
    return notes


def _encode(image: Image.Image, path: Path, format: str, quality: int) -> None:
    """Write an image with the metadata in its `info`, which most of Pillow's encoders want to be handed."""
    info: dict[str, Any] = {str(key): value for key, value in image.info.items()}
    options: dict[str, Any] = {"quality": quality}
    match format:
        case "tiff":
            encode_tiff(image, path)
            return
        case "jpeg":
            options["subsampling"] = 0
        case "png":
            from PIL.PngImagePlugin import PngInfo

            options["compress_level"] = 1  # three times as fast as the default, for a quarter more bytes
            if "xmp" in info:
                options["pnginfo"] = PngInfo()
                options["pnginfo"].add_itxt("XML:com.adobe.xmp", info["xmp"].decode("utf-8", "replace"))
        case "avif":
            options["speed"] = 8  # a third of the default's time, for the same bytes
        case "heic":
            options["enc_params"] = {"preset": "ultrafast"}  # three times as fast as the default, for a few more bytes
    save_image(image, path, FORMATS[format].pillow, **options, **info)
