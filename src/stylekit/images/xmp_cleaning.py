"""Remove or update XMP properties that describe the original file."""

from typing import TYPE_CHECKING

from stylekit.images.xmp import RDF, find, number_of, properties, remove, set_value, value_of
from stylekit.images.xmp_regions import set_region_size

if TYPE_CHECKING:
    from xml.dom.minidom import Document

_TIFF = "http://ns.adobe.com/tiff/1.0/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_XAP = "http://ns.adobe.com/xap/1.0/"
_HISTORY = "http://ns.adobe.com/xap/1.0/mm/"
_PANORAMA = "http://ns.google.com/photos/1.0/panorama/"

# Prefixes of namespaces that describe what a file contains besides its image (videos, depth and gain maps, previews),
# or the settings of a raw developer.
_DROPPED_NAMESPACES = (
    *("http://ns.google.com/photos/", "http://ns.google.com/videos/", "http://ns.apple.com/", "http://ns.xiaomi.com/"),
    *("http://ns.oplus.com/", "http://ns.oppo.com/", "http://ns.vivo.com/", "http://ns.honor.com/"),
    *("http://ns.adobe.com/hdr-", "http://ns.adobe.com/camera-raw-", "http://darktable.sf.net/", "http://ns.dxo.com/"),
    *("http://ns.adobe.com/xap/1.0/g/", "http://ns.adobe.com/xap/1.0/t/pg/", "http://ns.adobe.com/xmp/note/"),
    "http://ns.adobe.com/illustrator/",
)
_DROPPED = {
    (_XAP, "Thumbnails"),
    ("http://purl.org/dc/elements/1.1/", "format"),
    ("http://purl.org/dc/terms/", "provenance"),  # location of the file's signature
    ("http://www.digikam.org/ns/1.0/", "ImageHistory"),
    *((_EXIF, name) for name in ("NativeDigest", "SubjectArea", "SubjectLocation")),
    *((_PHOTOSHOP, name) for name in ("DocumentAncestors", "TextLayers", "History", "SidecarForExtension")),
    *((_PHOTOSHOP, name) for name in ("ColorMode", "ICCProfile", "LegacyIPTCDigest", "EmbeddedXMPDigest")),
}
_KEPT = {  # exceptions in namespaces that are otherwise dropped
    _TIFF: {
        *("ImageWidth", "ImageLength", "Orientation", "XResolution", "YResolution", "ResolutionUnit"),
        *("DateTime", "ImageDescription", "Make", "Model", "Software", "Artist", "Copyright"),
    },
    _HISTORY: {"OriginalDocumentID"},
}
_MOST_CHARACTERS = 8192  # in ASCII without spaces; longer values are embedded files
_SIDES = ((_TIFF, "ImageWidth", "ImageLength"), (_EXIF, "PixelXDimension", "PixelYDimension"))


def drop_old_file(document: "Document") -> None:
    """Remove the properties that describe the original file."""
    for item in document.getElementsByTagNameNS(RDF, "li"):
        if _is_embedded_file(value_of(item)):
            remove(item)
    for node in properties(document):
        if _is_about_old_file(node.namespaceURI or "", node.localName or "", value_of(node)):
            remove(node)
    for element in document.getElementsByTagName("*"):
        for name, uri in element.attributes.items():
            if name.startswith("xmlns:") and _is_dropped_namespace(uri):
                element.removeAttribute(name)


def _is_about_old_file(namespace: str, name: str, value: str) -> bool:
    if namespace in _KEPT and name not in _KEPT[namespace]:
        return True
    return (namespace, name) in _DROPPED or _is_dropped_namespace(namespace) or _is_embedded_file(value)


def _is_embedded_file(value: str) -> bool:
    return len(value) > _MOST_CHARACTERS and value.isascii() and " " not in value


def _is_dropped_namespace(namespace: str) -> bool:
    return namespace != _PANORAMA and namespace.startswith(_DROPPED_NAMESPACES)


def take_xmp_orientation(document: "Document") -> int | None:
    """Set the orientation to upright, and return the previous orientation; None if there was none."""
    orientation = None
    for node in find(document, _TIFF, "Orientation"):
        value = value_of(node)
        if value in tuple("12345678"):
            orientation = int(value)
            set_value(node, "1")
    return orientation


def declare_xmp_srgb(document: "Document") -> None:
    """Set the color space to sRGB if the packet declares one."""
    for node in find(document, _EXIF, "ColorSpace"):
        set_value(node, "1")


def set_xmp_size(document: "Document", size: tuple[int, int]) -> None:
    """Set all image sizes in the packet to `size`, and scale the dimensions of a panorama accordingly."""
    for namespace, *names in _SIDES:
        for name, side in zip(names, size, strict=True):
            for node in find(document, namespace, name):
                set_value(node, str(side))
    set_region_size(document, size)
    _scale_panorama(document, size)


def _scale_panorama(document: "Document", size: tuple[int, int]) -> None:
    """Scale a panorama's dimensions, or remove them if their aspect ratio differs from the image's."""
    nodes = [node for node in properties(document) if node.namespaceURI == _PANORAMA]
    numbers = {node.localName: number_of(node) for node in nodes}
    cropped = [numbers.get(f"CroppedAreaImage{side}Pixels") for side in ("Width", "Height")]
    scales = [side / old if old else 0 for side, old in zip(size, cropped, strict=True)]
    if nodes and (not all(scales) or abs(scales[0] / scales[1] - 1) > 0.02):
        for node in nodes:
            remove(node)
        return
    for node in nodes:
        name, number = node.localName or "", numbers[node.localName]
        if number is not None and name.endswith("Pixels"):
            vertical = "Height" in name or "Top" in name
            set_value(node, str(round(number * scales[vertical])))
