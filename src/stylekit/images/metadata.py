"""Read the metadata of an image from all the places where it can be stored."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from stylekit.images.color_spaces import ADOBE_RGB, SRGB, ColorSpace, declared_space
from stylekit.images.exif import Directory, declare_srgb, encode_exif, is_adobe_rgb, read_exif, take_orientation
from stylekit.images.iptc import add_iptc, iptc_block, iptc_of_resources
from stylekit.images.photo import Metadata
from stylekit.images.raw_profiles import raw_profiles
from stylekit.images.recipes import RECIPE_KEY, take_recipe, xmp_packet
from stylekit.images.xmp import EMPTY_PACKET, parse_xmp, properties, serialize_xmp
from stylekit.images.xmp_cleaning import declare_xmp_srgb, drop_old_file, take_xmp_orientation
from stylekit.images.xmp_regions import turn_regions

if TYPE_CHECKING:
    from xml.dom.minidom import Document


@dataclass
class Properties:
    """The metadata of an image that is being read.

    Attributes:
        exif: The EXIF, without the orientation.
        xmp: The XMP packet, with properties from IPTC and an upright orientation, but without the recipe.
        orientation: The EXIF orientation of the stored image.
        icc_profile: The color profile of the stored pixels.
        color_space: The color space of the stored pixels if they have no profile.
        dpi: Horizontal and vertical resolution in pixels per inch.
        recipe: How the image was painted; None for a photo.
    """

    exif: Directory
    xmp: "Document"
    orientation: int
    icc_profile: bytes | None
    color_space: ColorSpace
    dpi: tuple[float, float] | None
    recipe: str | None

    def turn(self, size: tuple[int, int]) -> None:
        """Rotate the regions in the metadata to match the upright image, whose width and height are `size`."""
        turn_regions(self.xmp, self.orientation, size)

    def declare_srgb(self) -> None:
        """Set the color space to sRGB wherever one is declared."""
        declare_srgb(self.exif)
        declare_xmp_srgb(self.xmp)

    def encode(self, icc_profile: bytes | None) -> Metadata:
        """Return the metadata for a photo whose colors have been converted.

        Args:
            icc_profile: The profile of the converted colors.
        """
        xmp = serialize_xmp(self.xmp) if next(properties(self.xmp), None) else None
        return Metadata(encode_exif(self.exif), xmp, icc_profile, self.dpi, self.recipe)


def read_properties(image: Image.Image, notes: list[str]) -> Properties:
    """Return an image's metadata; corrupt parts are dropped with a note.

    Args:
        image: An opened image. A PNG must be decoded, because its metadata may come after its pixels.
        notes: Receives the notes.
    """
    raw = raw_profiles(image)
    exif = read_exif(image, image.info.get("exif") or raw.get("exif"), notes)
    xmp = _read_xmp(xmp_packet(image) or raw.get("xmp"), notes)
    recipe, orientation = take_recipe(xmp), take_xmp_orientation(xmp)
    text = image.info.get(RECIPE_KEY)
    drop_old_file(xmp)
    icc_profile = image.info.get("icc_profile") or raw.get("icc")
    declared = None if icc_profile else declared_space(image.info, notes)
    _read_iptc(iptc_block(image) or raw.get("iptc"), xmp, notes)
    return Properties(
        exif=exif,
        xmp=xmp,
        orientation=take_orientation(exif) or orientation or 1,
        icc_profile=icc_profile,
        color_space=declared or (ADOBE_RGB if is_adobe_rgb(exif) else SRGB),
        dpi=_read_dpi(image),
        recipe=str(text) if isinstance(text, str) else recipe,
    )


def _read_xmp(packet: bytes | None, notes: list[str]) -> "Document":
    try:
        return parse_xmp(packet or EMPTY_PACKET)
    except Exception:
        notes.append("XMP dropped: corrupt")
        return parse_xmp(EMPTY_PACKET)


def _read_iptc(block: bytes | None, xmp: "Document", notes: list[str]) -> None:
    """Add the properties in IPTC to an XMP packet."""
    try:
        iptc = iptc_of_resources(block) if block else None
        if iptc:
            add_iptc(xmp, iptc)
    except Exception:
        notes.append("IPTC dropped: corrupt")


def _read_dpi(image: Image.Image) -> tuple[float, float] | None:
    """Return an image's resolution in pixels per inch; None if it is invalid or some formats cannot hold it."""
    try:
        # Two decimals undo the rounding of PNG and BMP, which store pixels per meter.
        across, down = (round(float(value), 2) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    # Pillow reports one pixel per inch for a TIFF without a resolution.
    return (across, down) if all(1 < value <= 65_535 for value in (across, down)) else None
