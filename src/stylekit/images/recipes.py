"""Recipes, which describe how an image was painted, in the metadata of images."""

import io
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from PIL import Image

from stylekit.images.heif_boxes import find_xmp
from stylekit.images.pillow import formats_of, pillow
from stylekit.images.xmp import EMPTY_PACKET, descriptions, find, parse_xmp, remove, serialize_xmp, value_of

if TYPE_CHECKING:
    from xml.dom.minidom import Document

RECIPE_KEY = "stylekit"  # keyword of the text chunk in PNGs
_NAMESPACE = "urn:stylekit:xmp:1.0/"


def read_recipe(path: Path) -> str | None:
    """Return the recipe by which an image file was painted, without decoding its pixels.

    Only Python code reads the file, because C code can crash.

    Args:
        path: The file.

    Returns:
        The recipe, as JSON; None if the file has none or cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(12)
            file.seek(0)
            if head[4:8] == b"ftyp":
                return _recipe_of_packet(find_xmp(file))
            if head.startswith(b"RIFF"):
                return _recipe_of_packet(_webp_xmp(file))
            with pillow.set_for(2**62), Image.open(file, formats=formats_of(("Jpeg", "Png", "Tiff"))) as image:
                text = image.info.get(RECIPE_KEY)
                return str(text) if isinstance(text, str) else _recipe_of_packet(xmp_packet(image))
    except Exception:
        return None


def _recipe_of_packet(packet: bytes | None) -> str | None:
    return take_recipe(parse_xmp(packet)) if packet and _NAMESPACE.encode() in packet else None


def _webp_xmp(file: BinaryIO) -> bytes | None:
    """Return the XMP packet of a WebP; None if it has none."""
    file.seek(12)
    while len(head := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        if name == b"XMP ":
            return file.read(length)
        file.seek(length + length % 2, io.SEEK_CUR)
    return None


def xmp_packet(image: Image.Image) -> bytes | None:
    """Return the XMP packet of an opened image; None if it has none."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(packet, str):
        packet = packet.encode(errors="replace")
    return packet if packet and isinstance(packet, bytes) else None


def recipe_packet(recipe: str) -> bytes:
    """Return an XMP packet that holds nothing but a recipe."""
    document = parse_xmp(EMPTY_PACKET)
    set_recipe(document, recipe)
    return serialize_xmp(document)


def set_recipe(document: "Document", recipe: str) -> None:
    """Add a recipe to a parsed packet."""
    description = descriptions(document)[0]
    description.setAttribute("xmlns:stylekit", _NAMESPACE)
    description.setAttributeNS(_NAMESPACE, "stylekit:recipe", recipe)


def take_recipe(document: "Document") -> str | None:
    """Remove the recipe from a parsed packet, and return it; None if there was none."""
    recipe = None
    for node in find(document, _NAMESPACE, "recipe"):
        recipe = value_of(node)
        remove(node)
    for description in descriptions(document):
        if description.getAttribute("xmlns:stylekit") == _NAMESPACE:
            description.removeAttribute("xmlns:stylekit")
    return recipe
