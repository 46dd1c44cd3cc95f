"""Image files to photos: upright, in sRGB, with metadata."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from stylekit.errors import ImageError
from stylekit.images.colors import HIDDEN_BELOW, fill_hidden, plain, to_srgb
from stylekit.images.errors import RAISE_LIMIT, read_errors
from stylekit.images.formats import READABLE
from stylekit.images.metadata import declare_srgb, encode_exif, read_dpi, read_exif, read_xmp, take_orientation
from stylekit.images.photo import Metadata, Photo
from stylekit.images.pillow import _register_heif, formats_of, pillow
from stylekit.images.pixels import reduced_size

# Pillow's decoders that a file may meet. The others stay out of reach: EPS runs Ghostscript, and few are as well tried.
_DECODERS = ("Jpeg", "Png", "WebP", "Tiff", "Bmp", "Gif", "Avif")

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


def load_photo(path: Path, *, max_pixels: int, max_size: int | None = None) -> Photo:
    """Read a picture, by its content and not its suffix; of several frames or pages the first.

    Args:
        path: the file.
        max_pixels: pixels above which it is taken for a decompression bomb and not decoded.
        max_size: longer side to which a larger picture is reduced; None keeps its size.

    Returns:
        The picture, upright and in sRGB.

    Raises:
        ImageError: if it cannot be read; damaged metadata and colour profiles are left out instead, with a note.
    """
    draft_size = None if max_size is None else 2 * max_size  # the rest is left to LANCZOS
    with read_errors(path.name):
        if path.exists() and not path.is_file():
            raise ImageError(f"{path.name} is {'a folder' if path.is_dir() else 'a device'}, not a picture.", READABLE)
        with path.open("rb") as file:
            return read_photo(file, path.name, max_pixels=max_pixels, max_size=max_size, draft_size=draft_size)


def read_photo(
    file: BinaryIO, name: str, *, max_pixels: int, max_size: int | None = None, draft_size: int | None = None
) -> Photo:
    """Read a picture from an open, seekable file.

    Args:
        file: at its beginning.
        name: what to call it in errors.
        max_pixels: as in `load_photo`.
        max_size: as in `load_photo`.
        draft_size: side below which a JPEG, for speed, is not decoded at 1/2 to 1/8 of its size; None decodes it whole.

    Raises:
        ImageError: as `load_photo`.
    """
    with read_errors(name), pillow.set_for(max_pixels), _open(file, name) as image:
        if image.width * image.height > max_pixels:
            sides = f"{image.width:,} × {image.height:,}"
            raise ImageError(f"{name} has {sides} pixels, over the limit of {max_pixels:,}.", RAISE_LIMIT)
        notes = _frame_notes(image)
        if draft_size is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (draft_size, draft_size))
        return _develop(image, max_size, notes)


def photo_from_image(image: Image.Image, *, max_size: int | None = None) -> Photo:
    """Take a Pillow image, of any mode, as `load_photo` takes a file; the image is not changed.

    Args:
        image: the picture; of several frames the current one.
        max_size: longer side to which a larger picture is reduced; None keeps its size.

    Raises:
        ImageError: if its file cannot be decoded, or it has no pixels.
    """
    pixels = image.width * image.height
    with read_errors("The picture"), pillow.set_for(pixels):
        return _develop(image, max_size, [])


def _open(file: BinaryIO, name: str) -> Image.Image:
    """Open a picture with one of the decoders that are allowed; its pixels are not decoded yet."""
    head = file.read(12)
    file.seek(0)
    if not head:
        raise ImageError(f"{name} is empty (0 bytes).", "Copy or download it again.")
    formats = formats_of(_DECODERS)
    if head[4:8] == b"ftyp" and head[8:] in _HEIF_BRANDS:
        _register_heif(name)
        formats.append("HEIF")
    return Image.open(file, formats=formats)


def _frame_notes(image: Image.Image) -> list[str]:
    """Say which of several frames or pages is taken; a camera's MPO holds but one picture and its helpers."""
    try:
        frames = getattr(image, "n_frames", 1)
    except Exception:
        image.seek(0)  # where the damage is, the first frame would be lost
        return ["only the first frame is taken: a later one is damaged"]
    if frames == 1 or image.format == "MPO":
        return []
    if image.format == "TIFF":
        return [f"several pages: only the first of {frames} is taken"]
    if image.format == "HEIF":
        return [f"several pictures: only the main one of {frames} is taken"]
    return [f"animated: only the first of {frames} frames is taken"]


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _develop(image: Image.Image, max_size: int | None, notes: list[str]) -> Photo:
    """Decode an image and make a photo of it; `notes` is what is to be said already."""
    if min(image.size) < 1:
        raise ImageError("The picture has no pixels.", "Check its width and height.")
    if image.format == "PNG":
        image.load()  # its metadata may come after its pixels
    exif = read_exif(image, notes)  # before a TIFF's pixels are decoded, which closes the file
    image.load()
    xmp, orientation = read_xmp(image, notes)

    picture = plain(image)
    size = reduced_size(picture.size, max_size)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    turn = _TURNS.get(take_orientation(exif) or orientation or 1)
    if turn is not None and image.format != "TIFF":  # which Pillow turns itself
        picture = picture.transpose(turn)

    alpha = picture.getchannel("A") if picture.mode in ("LA", "RGBA") else None
    colors = picture.convert(picture.mode.removesuffix("A")) if alpha is not None else picture
    icc_profile = image.info.get("icc_profile")
    rgb, srgb_profile = to_srgb(colors, icc_profile, notes)
    if srgb_profile not in (None, icc_profile):
        declare_srgb(exif)
    if alpha is not None:
        rgb = fill_hidden(rgb, alpha.point(lambda value: 255 * (value >= HIDDEN_BELOW)))
    return Photo(
        pixels=np.asarray(rgb),
        alpha=None if alpha is None else np.asarray(alpha),
        metadata=Metadata(encode_exif(exif), xmp, srgb_profile, read_dpi(image)),
        notes=tuple(notes),
    )
