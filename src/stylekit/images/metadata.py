"""The metadata of an image that is being read, from all the places where it can be."""

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
        exif: Its EXIF, without orientation.
        xmp: Its XMP packet, upright and without recipe; with what its IPTC says.
        orientation: EXIF's orientation of the stored image.
        icc_profile: The color profile that belongs to its pixels.
        color_space: The color space of its pixels, if no profile describes it.
        dpi: Horizontal and vertical resolution in pixels per inch.
        recipe: How it was painted.
    """

    exif: Directory
    xmp: "Document"
    orientation: int
    icc_profile: bytes | None
    color_space: ColorSpace
    dpi: tuple[float, float] | None
    recipe: str | None

    def turn(self, size: tuple[int, int]) -> None:
        """Adapt places in the metadata to the upright image, of that width and height."""
        turn_regions(self.xmp, self.orientation, size)

    def declare_srgb(self) -> None:
        """Set the color space to sRGB wherever one is declared."""
        declare_srgb(self.exif)
        declare_xmp_srgb(self.xmp)

    def encode(self, icc_profile: bytes | None) -> Metadata:
        """Return the metadata for a photo whose colors have been converted.

        Args:
            icc_profile: The profile of the colors now.
        """
        xmp = serialize_xmp(self.xmp) if next(properties(self.xmp), None) else None
        return Metadata(encode_exif(self.exif), xmp, icc_profile, self.dpi, self.recipe)


def read_properties(image: Image.Image, notes: list[str]) -> Properties:
    """Return an image's metadata; corrupt parts are dropped with a note.

    Args:
        image: An opened image; of a PNG, whose metadata may come after its pixels, a decoded one.
        notes: Takes the notes.
    """
    raw = raw_profiles(image)
    exif = read_exif(image, image.info.get("exif") or raw.get("exif"), notes)
    xmp = _read_xmp(xmp_packet(image) or raw.get("xmp"), notes)
    recipe, orientation = take_recipe(xmp), take_xmp_orientation(xmp)
    text = image.info.get(RECIPE_KEY)
    drop_old_file(xmp)
    _read_iptc(iptc_block(image) or raw.get("iptc"), xmp, notes)
    return Properties(
        exif=exif,
        xmp=xmp,
        orientation=take_orientation(exif) or orientation or 1,
        icc_profile=image.info.get("icc_profile") or raw.get("icc"),
        color_space=declared_space(image.info) or (ADOBE_RGB if is_adobe_rgb(exif) else SRGB),
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
    """Add what IPTC says to an XMP packet."""
    try:
        iptc = iptc_of_resources(block) if block else None
        if iptc:
            add_iptc(xmp, iptc)
    except Exception:
        notes.append("IPTC dropped: corrupt")


def _read_dpi(image: Image.Image) -> tuple[float, float] | None:
    """Return an image's resolution in pixels per inch, if every format can hold it."""
    try:
        # Two decimals undo the rounding of PNG and BMP, which store pixels per meter.
        across, down = (round(float(value), 2) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    # Pillow reports one pixel per inch for a TIFF without a resolution.
    return (across, down) if all(1 < value <= 65_535 for value in (across, down)) else None
