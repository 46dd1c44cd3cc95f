"""Convert the regions in XMP, such as those of faces, when an image is rotated upright."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from stylekit.images.xmp import find, number_of, remove, set_value, value_of

if TYPE_CHECKING:
    from xml.dom.minidom import Document

    from stylekit.images.xmp import Node

_REGIONS = "http://www.metadataworkinggroup.com/schemas/regions/"
_AREA = "http://ns.adobe.com/xmp/sType/Area#"
_DIMENSIONS = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
_MICROSOFT_REGIONS = "http://ns.microsoft.com/photo/1.2/"
_MICROSOFT_AREA = "http://ns.microsoft.com/photo/1.2/t/Region#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"

# By EXIF orientation: where a point of the stored image, with coordinates from 0 to 1, is in the upright image.
_TURNED: dict[int, Callable[[float, float], tuple[float, float]]] = {
    1: lambda x, y: (x, y),
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}
_ON_THEIR_SIDE = (5, 6, 7, 8)
_SHAPE_TOLERANCE = 0.02


def turn_regions(document: "Document", orientation: int, size: tuple[int, int]) -> None:
    """Convert regions in a packet from the stored to the upright image, and remove those that cannot be converted.

    Args:
        document: The packet.
        orientation: The EXIF orientation of the stored image.
        size: Width and height of the upright image.
    """
    for regions in find(document, _REGIONS, "Regions"):
        if not _turn_areas(regions, orientation, size):
            remove(regions)
    for rectangle in find(document, _MICROSOFT_AREA, "Rectangle"):
        numbers = [float(part) for part in value_of(rectangle).split(",") if _is_number(part)]
        if len(numbers) != 4:
            remove(rectangle)
            continue
        x, y, width, height = numbers
        x, y, width, height = _turned((x + width / 2, y + height / 2, width, height), orientation)
        set_value(rectangle, ", ".join(_text(number) for number in (x - width / 2, y - height / 2, width, height)))
    if orientation != 1:
        for node in find(document, _IPTC, "ImageRegion"):
            remove(node)


def set_region_size(document: "Document", size: tuple[int, int]) -> None:
    """Set the size of the image that regions refer to."""
    for dimensions in find(document, _REGIONS, "AppliedToDimensions"):
        for name, side in zip("wh", size, strict=True):
            for node in find(dimensions, _DIMENSIONS, name):
                set_value(node, str(side))


def _turn_areas(regions: "Node", orientation: int, size: tuple[int, int]) -> bool:
    """Convert the areas of a list of regions, and return whether that was possible."""
    shapes = [_shape(dimensions) for dimensions in find(regions, _REGIONS, "AppliedToDimensions")]
    stored = size[::-1] if orientation in _ON_THEIR_SIDE else size
    if not all(_have_same_shape(shape, stored) for shape in shapes):
        return all(_have_same_shape(shape, size) for shape in shapes)  # some programs describe the upright image
    for area in find(regions, _REGIONS, "Area"):
        nodes = {name: find(area, _AREA, name) for name in ("x", "y", "w", "h", "unit")}
        units = {value_of(node) for node in nodes.pop("unit")}
        x, y, width, height = (number_of(found[0]) if found else None for found in nodes.values())
        if not units <= {"normalized"} or x is None or y is None:
            return False
        turned = _turned((x, y, width or 0, height or 0), orientation)
        for found, number in zip(nodes.values(), turned, strict=True):
            for node in found:
                set_value(node, _text(number))
    return True


def _turned(area: tuple[float, float, float, float], orientation: int) -> tuple[float, float, float, float]:
    """Convert an area (center, width and height, each from 0 to 1) to the upright image."""
    x, y, width, height = area
    if orientation in _ON_THEIR_SIDE:
        width, height = height, width
    return (*_TURNED[orientation](x, y), width, height)


def _shape(dimensions: "Node") -> tuple[float, float]:
    sides = [next(iter(find(dimensions, _DIMENSIONS, name)), None) for name in "wh"]
    width, height = (0.0 if side is None else number_of(side) or 0.0 for side in sides)
    return width, height


def _have_same_shape(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return abs(one[0] * other[1] - one[1] * other[0]) <= _SHAPE_TOLERANCE * one[0] * other[1]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _text(number: float) -> str:
    return f"{number:.6f}".rstrip("0").rstrip(".")
