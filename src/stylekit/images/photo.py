"""Pictures between files and arrays: whatever a photo's file holds comes in as upright sRGB and goes out as it came."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylekit.images.metadata import (
    exif_of_size,
)


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
