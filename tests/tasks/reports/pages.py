"""Reads a report's page back: its tables by caption, its elements, its text."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "rect", "path", "circle", "br", "img"}


class Page(HTMLParser):
    """A page that was parsed.

    Attributes:
        tables: rows of text by caption.
        elements: (tag, attributes) of every element.
        missing: the sentences that say what is not there.
        texts: what is read inside each tag, by tag.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.missing: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self._caption = ""
        self.feed(html)
        self.close()
        assert self._open == [], "every element ends"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in VOID:
            return
        self._open.append((tag, dict(attrs)))
        if tag == "tr":
            self.tables[self._caption].append([])
        elif tag in ("th", "td"):
            self.tables[self._caption][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag, tag

    def handle_data(self, data: str) -> None:
        tag, attributes = self._open[-1] if self._open else ("", {})
        self.texts.append((tag, data))
        if tag == "caption":
            self._caption = data
            self.tables[data] = []
        elif tag in ("th", "td"):
            self.tables[self._caption][-1][-1] += data
        elif attributes.get("class") == "missing":
            self.missing.append(data)

    def count(self, tag: str) -> int:
        return Counter(name for name, _ in self.elements)[tag]

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str) -> list[str]:
        return [data for name, data in self.texts if name == tag and data.strip()]

    def rows(self, caption: str) -> dict[str, list[str]]:
        """A table's rows but the headings, by the name in their first cell."""
        return {row[0]: row[1:] for row in self.tables[caption][1:]}


def number(cell: str) -> Any:
    """A cell's number."""
    return float(cell.replace(",", ""))
