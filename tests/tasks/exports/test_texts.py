"""Text of others in YAML and XML: read back as it was, but for what these cannot hold."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import yaml

from tasks.exports.xml_text import add_element, add_text, as_bytes
from tasks.exports.yaml_text import as_yaml

ODD = [
    "yes",
    "1.5",
    "null",
    "a: b",
    "- x",
    "# y",
    "'q\"",
    "ü 😀",
    "line\nline",
    "\ttab",
    "",
    "~",
    "{}",
]


def test_yaml_gives_back_what_it_was_given() -> None:
    facts: dict[str, Any] = {f"key {text}": text for text in ODD}
    facts |= {"deep": {"er": {"list": [1, 0.5, None, True, {"a": ODD}]}}, "empty": {}, "on": 1}
    assert yaml.safe_load(as_yaml(facts)) == facts
    assert yaml.safe_load(as_yaml({"a": "x\u0085\ud800\u2028y"})) == {"a": "x\ufffd\ufffd\ufffdy"}


def test_xml_gives_back_what_it_was_given() -> None:
    root = ElementTree.Element("root")
    for text in ODD:
        add_text(add_element(root, "holder"), "text", text, value=text)
    add_text(root, "text", "x\x00\x1b\ud800\ufffey<&>")
    found = ElementTree.fromstring(as_bytes(root))
    assert [one[0].text or "" for one in found.findall("holder")] == ODD
    assert [one[0].attrib["value"] for one in found.findall("holder")] == ODD
    assert found[-1].text == "x\ufffd\ufffd\ufffd\ufffdy<&>"
