"""Read image files, Pillow images and arrays as photos: upright, in sRGB, with metadata."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from stylekit.errors import ImageError
from stylekit.images.colors import HIDDEN_BELOW, fill_hidden, to_basic_mode, to_full_range, to_srgb
from stylekit.images.errors import RAISE_LIMIT, read_errors
from stylekit.images.formats import READABLE
from stylekit.images.jpeg import check_jpeg, complete_jpeg
from stylekit.images.metadata import read_properties
from stylekit.images.photo import Photo
from stylekit.images.pillow import open_image, pillow
from stylekit.images.pixels import Pixels, reduced_size
from stylekit.images.png import NARROW_KEY, settle_transparency
from stylekit.images.repairs import repaired
from stylekit.images.tiff_alpha import join_alpha
from stylekit.images.tiff_kinds import check_tiff

ImageLike = str | Path | Image.Image | Pixels


def as_photo(image: ImageLike, *, max_pixels: int, max_size: int | None = None) -> Photo:
    """Return any kind of image as a photo.

    Args:
        image: A path, a Pillow image of any mode, or RGB values `(H, W, 3)` of type uint8.
        max_pixels: The maximum number of pixels in an image file; see `load_photo`.
        max_size: Maximum length of the longer side in pixels; larger images are reduced. None keeps the size.

    Raises:
        ImageError: If the image cannot be read, has no pixels, or is an array of another type or shape.
    """
    if isinstance(image, str | Path):
        return load_photo(Path(image), max_pixels=max_pixels, max_size=max_size)
    if isinstance(image, Image.Image):
        return photo_from_image(image, max_size=max_size)
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ImageError(
            f"Invalid image array: {array.dtype} of shape {array.shape}, not uint8 of shape (H, W, 3).",
            "Pass RGB values from 0 to 255, for example numpy.asarray(image.convert('RGB')).",
        )
    return photo_from_image(Image.fromarray(array), max_size=max_size)


def as_painting(image: ImageLike, *, max_pixels: int) -> Photo:
    """Return any kind of style image as a photo, as `as_photo` does.

    Args:
        image: The painting.
        max_pixels: As in `as_photo`.

    Raises:
        ImageError: As in `as_photo`, or if the painting is fully transparent.
    """
    painting = as_photo(image, max_pixels=max_pixels)
    if painting.alpha is not None and painting.alpha.max() < HIDDEN_BELOW:
        name = Path(image).name if isinstance(image, str | Path) else "image"
        raise ImageError(f"The painting {name} is fully transparent.", "Choose another painting.")
    return painting


def load_photo(path: Path, *, max_pixels: int, max_size: int | None = None) -> Photo:
    """Read an image file. If it has several frames or pages, read the first.

    The format is detected from the content, not from the suffix. Corrupt metadata and color profiles are dropped with
    a note.

    Args:
        path: The file.
        max_pixels: The maximum number of pixels. Larger images may be decompression bombs, and are rejected before they
            are decoded.
        max_size: Maximum length of the longer side in pixels; larger images are reduced. None keeps the size.

    Raises:
        ImageError: If the file cannot be read.
    """
    draft_size = None if max_size is None else 2 * max_size  # LANCZOS does the rest of the reduction
    with read_errors(path.name):
        if path.exists() and not path.is_file():
            raise ImageError(f"{path.name} is {'a folder' if path.is_dir() else 'a device'}, not an image.", READABLE)
        with path.open("rb") as file:
            return read_photo(file, path.name, max_pixels=max_pixels, max_size=max_size, draft_size=draft_size)


def read_photo(
    file: BinaryIO, name: str, *, max_pixels: int, max_size: int | None = None, draft_size: int | None = None
) -> Photo:
    """Read an image from an open, seekable file.

    Args:
        file: The file, at its start.
        name: The file's name for error messages.
        max_pixels: As in `load_photo`.
        max_size: As in `load_photo`.
        draft_size: To save time, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size if both sides keep at least this
            many pixels. None decodes it at full size.

    Raises:
        ImageError: As in `load_photo`.
    """
    with read_errors(name), pillow.set_for(max_pixels):
        try:
            return _read(file, name, max_pixels, max_size, draft_size)
        except OSError:
            completed = complete_jpeg(file)
            if completed is None:
                raise
            return _read(completed, name, max_pixels, max_size, draft_size)


def _read(file: BinaryIO, name: str, max_pixels: int, max_size: int | None, draft_size: int | None) -> Photo:
    """Read an image as `read_photo` does, but without converting exceptions."""
    notes: list[str] = []
    file, info = repaired(file, notes)
    with open_image(file, name) as image:
        if image.width * image.height > max_pixels:
            sides = f"{image.width:,} × {image.height:,}"
            raise ImageError(f"{name} has {sides} pixels, over the limit of {max_pixels:,}.", RAISE_LIMIT)
        image.info |= info
        notes += _frame_notes(image)
        if draft_size is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (draft_size, draft_size))
        if image.format == "PNG":
            settle_transparency(image, file)
        if image.format in ("JPEG", "MPO"):
            image.load()
            check_jpeg(image, file, notes)
        return _develop(image, max_size, notes)


def photo_from_image(image: Image.Image, *, max_size: int | None = None) -> Photo:
    """Return a Pillow image as a photo, as `load_photo` does for a file.

    Args:
        image: An image of any mode; it is not modified. If it has several frames, the current one is used.
        max_size: Maximum length of the longer side in pixels; larger images are reduced. None keeps the size.

    Raises:
        ImageError: If the image cannot be decoded or has no pixels.
    """
    pixels = image.width * image.height
    with read_errors("The image"), pillow.set_for(pixels):
        return _develop(image, max_size, [])


def _frame_notes(image: Image.Image) -> list[str]:
    """Return a note about the frames or pages that are ignored, if any."""
    try:
        frames = getattr(image, "n_frames", 1)
    except Exception:
        image.seek(0)  # the attempt left the corrupt frame current
        return ["only the first frame is used: a later one is corrupt"]
    if frames == 1 or image.format == "MPO":  # a camera's MPO holds one image and its previews
        return []
    if image.format == "TIFF":
        return [f"several pages: only the first of {frames} is used"]
    if image.format == "HEIF":
        return [f"several images: only the primary one of {frames} is used"]
    return [f"animated: only the first of {frames} frames is used"]


_TURNS = {  # by EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _develop(image: Image.Image, max_size: int | None, notes: list[str]) -> Photo:
    """Decode an image into a photo, and add to `notes`, which become those of the photo."""
    if min(image.size) < 1:
        raise ImageError("The image has no pixels.", "Check its width and height.")
    is_stored_tiff = image.format == "TIFF" and bool(getattr(image, "tile", None))  # a decoded image has no tiles
    if is_stored_tiff:
        check_tiff(image)
    if image.format == "PNG":
        image.load()  # a file's metadata may come after its pixels
    properties = read_properties(image, notes)  # decoding a TIFF's pixels closes the file
    decoded = join_alpha(image) if is_stored_tiff else image
    decoded.load()

    basic = to_basic_mode(decoded)
    size = reduced_size(basic.size, max_size)
    is_reduced = size != basic.size
    if is_reduced:
        basic = basic.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    turn = _TURNS.get(properties.orientation)
    if turn is not None and image.format != "TIFF":  # Pillow turns TIFFs upright itself
        basic = basic.transpose(turn)
    properties.turn(basic.size)

    alpha = basic.getchannel("A") if basic.mode in ("LA", "RGBA") else None
    colors = basic.convert(basic.mode.removesuffix("A")) if alpha is not None else basic
    if image.info.get(NARROW_KEY):
        colors = to_full_range(colors)
    rgb, srgb_profile = to_srgb(colors, properties.icc_profile, properties.color_space, notes)
    if srgb_profile not in (None, properties.icc_profile):
        properties.declare_srgb()
    if alpha is not None:
        rgb = fill_hidden(rgb, alpha.point(lambda value: 255 * (value >= HIDDEN_BELOW)))
    return Photo(
        pixels=np.asarray(rgb),
        alpha=None if alpha is None else np.asarray(alpha),
        metadata=properties.encode(srgb_profile),
        notes=tuple(notes),
        is_reduced=is_reduced,
    )
