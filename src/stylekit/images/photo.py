"""A decoded image with the metadata that its result inherits."""

from dataclasses import dataclass

from PIL import Image

from stylekit.images.exif import exif_of_size
from stylekit.images.pixels import Pixels
from stylekit.images.recipes import RECIPE_KEY, recipe_packet, set_recipe
from stylekit.images.xmp import parse_xmp, serialize_xmp
from stylekit.images.xmp_cleaning import set_xmp_size


@dataclass(frozen=True)
class Metadata:
    r"""The metadata that a result inherits from its photo.

    Attributes:
        exif: EXIF starting with `Exif\0\0`, without orientation and thumbnail.
        xmp: The XMP packet, with its orientation set to upright.
        icc_profile: A profile that describes sRGB; None if the photo had none.
        dpi: Horizontal and vertical resolution in pixels per inch.
        recipe: How the image was painted, as JSON in ASCII; None for a photo. The recipe is written into the XMP
            packet, which is created if the photo had none, and in PNGs also into a text chunk. BMP cannot hold a
            recipe.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    recipe: str | None = None


@dataclass(frozen=True)
class Photo:
    """An image, upright and in sRGB, with its metadata.

    The arrays that a reader returns are read-only.

    Attributes:
        pixels: RGB values `(H, W, 3)`. Pixels hidden by `alpha` are filled smoothly with the surrounding colors.
        alpha: Opacity `(H, W)`, from 0 (transparent) to 255; None for an opaque image.
        metadata: The metadata that a result inherits.
        notes: Short phrases about what the reader dropped or changed.
        is_reduced: Whether the reader reduced the image to the maximum size.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    metadata: Metadata = Metadata()
    notes: tuple[str, ...] = ()
    is_reduced: bool = False


def photo_to_image(photo: Photo) -> Image.Image:
    """Return a photo as a Pillow image, RGB or RGBA, with its metadata in `info` under Pillow's keys."""
    image = Image.fromarray(photo.pixels)
    if photo.alpha is not None:
        image.putalpha(Image.fromarray(photo.alpha))
    metadata = photo.metadata
    info = {
        "exif": exif_of_size(metadata.exif, image.size),
        "xmp": _xmp_of_size(metadata.xmp, image.size, metadata.recipe),
        "icc_profile": metadata.icc_profile,
        "dpi": metadata.dpi,
        RECIPE_KEY: metadata.recipe,
    }
    image.info = {key: value for key, value in info.items() if value}
    return image


def _xmp_of_size(packet: bytes | None, size: tuple[int, int], recipe: str | None) -> bytes | None:
    """Return an XMP packet with its image sizes set to `size`, and with the recipe added, if any."""
    if not packet:
        return recipe_packet(recipe) if recipe else None
    try:
        document = parse_xmp(packet)
    except Exception:  # the calling program may have set an invalid packet
        return recipe_packet(recipe) if recipe else packet
    set_xmp_size(document, size)
    if recipe:
        set_recipe(document, recipe)
    return serialize_xmp(document)
