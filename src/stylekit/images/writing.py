"""Write photos as image files with metadata."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stylekit.errors import ConfigError, ImageError
from stylekit.images.colors import on_white
from stylekit.images.errors import write_errors
from stylekit.images.formats import FORMATS
from stylekit.images.photo import Photo, photo_to_image
from stylekit.images.pillow import pillow, register_heif, save_image
from stylekit.images.recipes import RECIPE_KEY, recipe_packet
from stylekit.images.tiff import encode_tiff
from stylekit.system.files import atomic_write, clear_stale, temporary_folder


def save_photo(
    photo: Photo, path: Path, *, format: str, quality: int, strip_metadata: bool = False, overwrite: bool = True
) -> tuple[str, ...]:
    """Write a photo with its metadata. If that fails, no partial file is left.

    The image size in EXIF is set to that of `photo.pixels`.

    Args:
        photo: The photo.
        path: The file to write; its suffix does not matter.
        format: A key of `FORMATS`.
        quality: Quality from 1 to 100, for lossy formats.
        strip_metadata: Whether to omit EXIF, XMP and the recipe. The color profile and the resolution, which viewers
            need, are kept.
        overwrite: Whether to replace an existing file.

    Returns:
        Short phrases about what the format cannot hold.

    Raises:
        ConfigError: If the format is unknown.
        ImageError: If the format cannot hold an image of that size, or the file cannot be written.
        OutputExists: If the file exists and `overwrite` is false.
    """
    output = FORMATS.get(format)
    if output is None:
        raise ConfigError(f"Unknown format {format!r}.", f"Use one of {', '.join(FORMATS)}.")
    if format == "heic":
        register_heif(path.name)
    image = photo_to_image(photo)
    if max(image.size) > output.longest_side:
        raise ImageError(
            f"Cannot write {path.name}: {format.upper()} allows at most {output.longest_side:,} pixels per side, "
            f"not {image.width:,} × {image.height:,}.",
            "Write PNG or TIFF instead, or scale the image down.",
        )
    if strip_metadata:
        image.info = {key: value for key, value in image.info.items() if key not in ("exif", "xmp", RECIPE_KEY)}
    notes = _drop_metadata(image.info, format)
    if photo.alpha is not None and not output.holds_alpha:
        image = on_white(image)
        notes.append(f"transparency flattened onto white: {format.upper()} does not support it")
    with (
        write_errors(path),
        pillow.set_for(image.width * image.height),
        atomic_write(path, overwrite=overwrite) as temporary,
    ):
        _encode(image, temporary, format, quality)
    return tuple(notes)


def check_writable(path: Path, *, format: str) -> None:
    """Check up front that an image can be written, by writing a small temporary image to its folder.

    Args:
        path: The file that will be written. Its folder need not exist: its nearest existing parent is checked.
        format: A key of `FORMATS`.

    Raises:
        ConfigError: If the format is unknown.
        ImageError: If the encoder for the format is missing, or the folder is not writable.
    """
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    clear_stale(folder)
    with write_errors(path), temporary_folder(folder) as trial:
        save_photo(Photo(np.zeros((64, 64, 3), np.uint8)), trial / path.name, format=format, quality=1)


def _drop_metadata(info: dict[str | tuple[int, int], Any], format: str) -> list[str]:
    """Remove the metadata that the format cannot hold, and return a note for each kind except the recipe."""
    notes = []
    room = FORMATS[format].most_metadata
    if room is None:
        return []
    reason = f"too large for {format.upper()}" if room else f"{format.upper()} does not support it"
    recipe = info.get(RECIPE_KEY)
    for key in ("exif", "xmp"):
        if len(info.get(key, b"")) <= room:
            continue
        only_recipe = recipe_packet(recipe) if key == "xmp" and recipe else None
        if info.pop(key) != only_recipe:
            notes.append(f"{key.upper()} dropped: {reason}")
        if only_recipe and room:
            info[key] = only_recipe
    return notes


def _encode(image: Image.Image, path: Path, format: str, quality: int) -> None:
    """Write an image with the metadata in its `info`, which most of Pillow's encoders ignore unless it is passed."""
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

            options["compress_level"] = 1  # three times as fast as the default, a quarter larger
            options["pnginfo"] = PngInfo()
            if "xmp" in info:
                options["pnginfo"].add_itxt("XML:com.adobe.xmp", info["xmp"].decode("utf-8", "replace"))
            if RECIPE_KEY in info:
                options["pnginfo"].add_itxt(RECIPE_KEY, info[RECIPE_KEY])
        case "avif":
            options["speed"] = 8  # three times as fast as the default, the same size
        case "heic":
            options["enc_params"] = {"preset": "ultrafast"}  # three times as fast as the default, slightly larger
    save_image(image, path, FORMATS[format].pillow, **options, **info)
