"""Reads a page of `emi browse` back: its rows, links, texts."""

from __future__ import annotations

from html.parser import HTMLParser

PORT, TOKEN = 4300, "right-token"
_VOID = {"meta", "link", "input", "br", "img"}


class Read(HTMLParser):
    """A page that was parsed.

    Attributes:
        elements: (tag, attributes, text inside) of every element, in order.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[int] = []
        self.feed(html)
        self.close()
        assert self._open == [], "every element ends"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        if tag not in _VOID:
            self._open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag, tag

    def handle_data(self, data: str) -> None:
        for place in self._open:
            self.elements[place][2].append(data)

    def texts(self, tag: str, **attributes: str) -> list[str]:
        """The text of every such element, blanks made one."""
        return [
            " ".join("".join(inside).split())
            for name, found, inside in self.elements
            if name == tag and attributes.items() <= found.items()
        ]

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.elements if name == tag]

    def text(self, key: str) -> str:
        """The text of the element with this id."""
        (found,) = [
            inside for _, attributes, inside in self.elements if attributes.get("id") == key
        ]
        return " ".join("".join(found).split())

    def links(self) -> dict[str, str]:
        """The addresses of links by their text."""
        return {
            " ".join("".join(inside).split()): str(attributes["href"])
            for tag, attributes, inside in self.elements
            if tag == "a"
        }

    def rows(self) -> list[list[str]]:
        """The cells of the rows of all tables, headings left out."""
        found: list[list[str]] = []
        for tag, attributes, inside in self.elements:
            if tag == "tr":
                found.append([])
            elif tag == "td" or (tag == "th" and attributes.get("scope") == "row"):
                found[-1].append(" ".join("".join(inside).split()))
        return [row for row in found if row]

    def headings(self) -> list[str]:
        return self.texts("th", scope="col")
