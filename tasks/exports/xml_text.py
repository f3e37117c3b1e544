"""Text of others in XML: escaped, and without characters that XML cannot hold."""

from __future__ import annotations

import re
from xml.etree import ElementTree

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What is no character of XML 1.0 (https://www.w3.org/TR/xml/#charsets)."""


def add_text(parent: ElementTree.Element, tag: str, text: str = "", **attributes: str) -> None:
    """Add an element with a text, or without."""
    add_element(parent, tag, **attributes).text = legal(text) or None


def add_element(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    """Return a new element below a parent."""
    named = {name: legal(value) for name, value in attributes.items()}
    return ElementTree.SubElement(parent, tag, named)


def legal(text: str) -> str:
    """Return a text with a replacement character for each that XML cannot hold."""
    return _ILLEGAL.sub("\ufffd", text)


def as_bytes(root: ElementTree.Element) -> bytes:
    """Return a document in UTF-8, an element a line."""
    ElementTree.indent(root)
    content: bytes = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return content + b"\n"
