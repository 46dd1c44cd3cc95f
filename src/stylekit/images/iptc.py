"""Convert captions, authors and rights from IPTC's old binary format (IIM) to XMP."""

import struct
from collections.abc import Mapping
from html import escape  # xml.sax.saxutils.escape would import ssl
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.ExifTags import Base

from stylekit.images.xmp import RDF, descriptions, find

if TYPE_CHECKING:
    from xml.dom.minidom import Document

_RESOURCE = 0x0404  # the Photoshop image resource that holds IIM
_DC = "http://purl.org/dc/elements/1.1/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_CORE = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
_UTF8 = b"\x1b%G"  # declares the character set

# By data set number in IIM's second record: namespace, name and array type of the XMP property.
_PROPERTIES = {
    5: (_DC, "title", "Alt"),
    25: (_DC, "subject", "Bag"),
    40: (_PHOTOSHOP, "Instructions", ""),
    80: (_DC, "creator", "Seq"),
    85: (_PHOTOSHOP, "AuthorsPosition", ""),
    90: (_PHOTOSHOP, "City", ""),
    92: (_CORE, "Location", ""),
    95: (_PHOTOSHOP, "State", ""),
    100: (_CORE, "CountryCode", ""),
    101: (_PHOTOSHOP, "Country", ""),
    103: (_PHOTOSHOP, "TransmissionReference", ""),
    105: (_PHOTOSHOP, "Headline", ""),
    110: (_PHOTOSHOP, "Credit", ""),
    115: (_PHOTOSHOP, "Source", ""),
    116: (_DC, "rights", "Alt"),
    120: (_DC, "description", "Alt"),
    122: (_PHOTOSHOP, "CaptionWriter", ""),
}


def iptc_block(image: Image.Image) -> bytes | None:
    """Return the IIM data of a JPEG or TIFF; None if it has none."""
    resources = image.info.get("photoshop")
    block: Any = resources.get(_RESOURCE) if isinstance(resources, Mapping) else None
    if image.format == "TIFF":
        block = getattr(image, "tag_v2", {}).get(Base.IPTCNAA)
    return block if isinstance(block, bytes) else None


def iptc_of_resources(block: bytes) -> bytes | None:
    """Return the IIM data in a block of Photoshop image resources, or the block itself if it is IIM data."""
    position = 0
    while block[position : position + 4] == b"8BIM":
        (number, name_length) = struct.unpack_from(">HB", block, position + 4)
        position += 7 + name_length + (name_length + 1) % 2
        (length,) = struct.unpack_from(">I", block, position)
        if number == _RESOURCE:
            return block[position + 4 : position + 4 + length]
        position += 4 + length + length % 2
    return block if block.startswith(b"\x1c") else None


def add_iptc(document: "Document", block: bytes) -> None:
    """Add the properties in IIM data to an XMP packet, except those that it already has."""
    from xml.dom.minidom import parseString

    values, encoding = _decode(block)
    parts = []
    for number, (namespace, name, array) in _PROPERTIES.items():
        texts = [_text(value, encoding) for value in values.get(number, [])]
        if not any(texts) or find(document, namespace, name):
            continue
        language = ' xml:lang="x-default"' if array == "Alt" else ""
        items = "".join(f"<rdf:li{language}>{text}</rdf:li>" for text in texts)
        content = f"<rdf:{array}>{items}</rdf:{array}>" if array else texts[0]
        parts.append(f'<x:{name} xmlns:x="{namespace}">{content}</x:{name}>')
    if not parts:
        return
    own = f'<rdf:RDF xmlns:rdf="{RDF}">{"".join(parts)}</rdf:RDF>'
    fragment = parseString(own)  # noqa: S318 - the texts are escaped
    assert fragment.documentElement is not None
    for node in fragment.documentElement.childNodes:
        descriptions(document)[0].appendChild(document.importNode(node, True))


def _decode(block: bytes) -> tuple[dict[int, list[bytes]], str]:
    """Return the values in IIM's second record by data set number, and their encoding."""
    values: dict[int, list[bytes]] = {}
    encoding = ""
    position = 0
    while block[position : position + 1] == b"\x1c" and position + 5 <= len(block):
        record, number, length = struct.unpack_from(">BBH", block, position + 1)
        value = block[position + 5 : position + 5 + length]
        if (record, number) == (1, 90):
            encoding = "utf-8" if value == _UTF8 else ""
        elif record == 2:
            values.setdefault(number, []).append(value)
        position += 5 + length
    return values, encoding


def _text(value: bytes, encoding: str) -> str:
    """Decode a value, and escape it for XML."""
    try:
        text = value.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    printable = "".join(character for character in text.strip("\0 ") if character >= " " or character in "\t\n\r")
    return escape(printable, quote=False)
