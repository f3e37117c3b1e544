"""Paths and texts as SQL has them."""

from __future__ import annotations

from collections.abc import Iterable


def path_pattern(path: str) -> str:
    """Return the glob pattern that fits this path alone."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)


def text_list(texts: Iterable[str]) -> str:
    """Return texts as a list in SQL."""
    return f"[{', '.join(map(quoted, texts))}]"


def quoted(text: str) -> str:
    """Return a text in SQL's quotes."""
    return "'" + text.replace("'", "''") + "'"


def quoted_name(name: str) -> str:
    """Return the name of a column in SQL's quotes."""
    return '"' + name.replace('"', '""') + '"'
