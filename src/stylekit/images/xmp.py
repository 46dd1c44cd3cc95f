"""XMP packets, parsed and serialized."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xml.dom.minidom import Attr, Document, Element

    Node = Attr | Element

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XML = "http://www.w3.org/XML/1998/namespace"
XMLNS = "http://www.w3.org/2000/xmlns/"
EMPTY_PACKET = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"/></x:xmpmeta>'.encode()

_HEAD, _TAIL = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>', '<?xpacket end="r"?>'
# Before Python 3.13, minidom does not escape line breaks and tabs in attributes, and parsers turn them into spaces.
_MARKED = {9: "\uf8f0", 10: "\uf8f1", 13: "\uf8f2"}
_MOST_BYTES = 2**21  # of a packet, which takes fifty times as much memory when parsed


def parse_xmp(packet: bytes) -> "Document":
    """Parse an XMP packet in UTF-8.

    Raises:
        ValueError: If the packet is not XMP, or too large.
        xml.parsers.expat.ExpatError: If the packet is not well-formed XML.
    """
    from xml.dom.minidom import parseString

    # A document type could define entities that expand without end.
    if len(packet) > _MOST_BYTES or b"<!DOCTYPE" in packet:
        raise ValueError("The packet is too large, or defines a document type.")
    document = parseString(packet.strip(b"\0 \t\r\n").removeprefix(b"\xef\xbb\xbf"))  # noqa: S318 - see above
    if not document.getElementsByTagNameNS(RDF, "RDF"):
        raise ValueError("The packet has no RDF.")
    return document


def serialize_xmp(document: "Document") -> bytes:
    """Return a parsed packet as bytes in UTF-8."""
    for element in document.getElementsByTagName("*"):
        for attribute in element.attributes.values():
            attribute.value = attribute.value.translate(_MARKED)
    assert document.documentElement is not None
    text = document.documentElement.toxml()
    for code, mark in _MARKED.items():
        text = text.replace(mark, f"&#{code};")
    return f"{_HEAD}{text}{_TAIL}".encode()


def descriptions(document: "Document") -> "list[Element]":
    """Return the descriptions in a parsed packet, whose attributes and children are the properties.

    If the packet has none, an empty description is added.
    """
    found = document.getElementsByTagNameNS(RDF, "Description")
    if found:
        return list(found)
    (rdf, *_) = document.getElementsByTagNameNS(RDF, "RDF")
    description = document.createElementNS(RDF, f"{rdf.prefix}:Description")
    description.setAttributeNS(RDF, f"{rdf.prefix}:about", "")
    rdf.appendChild(description)
    return [description]


def properties(root: "Document | Node") -> "Iterator[Node]":
    """Yield the properties below a node, at any depth, whether written as elements or as attributes.

    Nodes of RDF and declarations of namespaces are left out. The document may be modified during the iteration.
    """
    if root.nodeType == root.ATTRIBUTE_NODE:
        return
    elements: list[Any] = [*root.getElementsByTagName("*")]
    if root.nodeType == root.ELEMENT_NODE:
        elements.insert(0, root)
    for element in elements:
        if element is not root and element.namespaceURI not in (RDF, "adobe:ns:meta/"):
            yield element
        for attribute in list((element.attributes or {}).values()):
            if attribute.namespaceURI not in (RDF, XML, XMLNS, "adobe:ns:meta/", None):
                yield attribute


def find(root: "Document | Node", namespace: str, *names: str) -> "list[Node]":
    """Return the properties below a node that have a namespace and one of the names."""
    return [node for node in properties(root) if node.namespaceURI == namespace and node.localName in names]


def value_of(node: "Node") -> str:
    """Return a property's text."""
    if node.nodeType == node.ATTRIBUTE_NODE:
        return str(node.nodeValue)
    return "".join(child.data for child in node.childNodes if child.nodeType == child.TEXT_NODE).strip()


def set_value(node: "Node", value: str) -> None:
    """Replace a property's value with text."""
    if node.nodeType == node.ATTRIBUTE_NODE:
        node.value = value
        return
    assert node.ownerDocument is not None
    node.childNodes = type(node.childNodes)([node.ownerDocument.createTextNode(value)])


def remove(node: "Node") -> None:
    """Remove a property from its document, unless it has been removed already."""
    if node.nodeType == node.ATTRIBUTE_NODE:
        if node.ownerElement is not None:
            node.ownerElement.removeAttributeNode(node)
    elif node.parentNode is not None:
        node.parentNode.removeChild(node)


def number_of(node: "Node") -> float | None:
    """Return a property's value as a number; None if the value is not a number."""
    with contextlib.suppress(ValueError):
        return float(value_of(node))
    return None
