"""Pictures between files and arrays: whatever a photo's file holds comes in as upright sRGB and goes out as it came."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylekit.colors import HIDDEN_BELOW, fill_hidden, on_white, plain, to_srgb
from stylekit.errors import ConfigError, ImageError
from stylekit.formats import FORMATS, READABLE
from stylekit.metadata import declare_srgb, encode_exif, exif_of_size, read_dpi, read_exif, read_xmp, take_orientation
from stylekit.paths import atomic_write
from stylekit.pillow_guard import RAISE_LIMIT, formats_of, pillow, read_errors, save_image, write_errors
from stylekit.tiff import encode_tiff

# Pillow's decoders that a file may meet. The others stay out of reach: EPS runs Ghostscript, and few are as well tried.
_DECODERS = ("Jpeg", "Png", "WebP", "Tiff", "Bmp", "Gif", "Avif")
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


@dataclass(frozen=True)
class Metadata:
    """What a result inherits from its photo.

    Attributes:
        exif: EXIF, beginning with `Exif\\0\\0`, without orientation and thumbnail.
        xmp: the XMP packet, its orientation set to upright.
        icc_profile: a profile that describes sRGB; None where the photo had none.
        dpi: horizontal and vertical pixels an inch.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True)
class Photo:
    """A picture with what its file said about it.

    Attributes:
        pixels: uint8 of shape (H, W, 3), upright, sRGB. Where `alpha` hides them, colours continue their surroundings.
        alpha: uint8 of shape (H, W), 0 transparent to 255 opaque; None where the file has no transparency. Both arrays
            are read-only as they come from a reader.
        metadata: what a result inherits.
        notes: what the reader left out or changed, a short phrase each.
    """

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    metadata: Metadata = Metadata()
    notes: tuple[str, ...] = ()


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


def photo_to_image(photo: Photo) -> Image.Image:
    """Return a picture as a Pillow image, RGB or RGBA, with its metadata in `info` where Pillow keeps it."""
    image = Image.fromarray(photo.pixels)
    if photo.alpha is not None:
        image.putalpha(Image.fromarray(photo.alpha))
    info = {
        "exif": exif_of_size(photo.metadata.exif, image.size),
        "xmp": photo.metadata.xmp,
        "icc_profile": photo.metadata.icc_profile,
        "dpi": photo.metadata.dpi,
    }
    image.info = {key: value for key, value in info.items() if value}
    return image


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


def _register_heif(name: str) -> None:
    """Give Pillow the HEIC format, which is an extra.

    Raises:
        ImageError: if the extra is not installed.
    """
    try:
        import pillow_heif
    except ImportError:
        raise ImageError(f"{name} is HEIC, which needs an extra.", "pip install 'neural-stylekit[heif]'") from None
    pillow_heif.register_heif_opener()


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


def reduced_size(size: tuple[int, int], max_size: int | None) -> tuple[int, int]:
    """Return the size at which the longer side has at most `max_size` pixels, and the shorter one at least 1."""
    if max_size is None or max(size) <= max_size:
        return size
    scale = max_size / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


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
