"""Text of others (names, details, messages) on a terminal: shown as it is, never obeyed."""

from __future__ import annotations

import sys
import unicodedata
from typing import TextIO

_HIDDEN = {"Cc", "Cs", "Co", "Zl", "Zp"}
_TURNING = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of text: a name could read as another."""

LINES = "\n\t"
"""What a text of several lines keeps."""


def printable(text: str, keep: str = "") -> str:
    r"""Return a text with its control characters spelled out: ``\x1b``, ``\n``.

    Args:
        text: any.
        keep: control characters to leave.
    """
    if text.isprintable():
        return text
    return "".join(
        _spelled(char) if _is_hidden(char) and char not in keep else char for char in text
    )


def say(text: str, out: TextIO | None = None) -> None:
    """Write lines to a stream, standard output by default, their control characters spelled out."""
    stream = sys.stdout if out is None else out
    stream.write(f"{printable(text, LINES)}\n")
    stream.flush()


def write_any_letter() -> None:
    r"""Let standard output and error write any text, whatever letters the terminal knows.

    A letter that its encoding lacks (Latin-1, ASCII) is spelled out, as in ``\u304c``.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in _HIDDEN or char in _TURNING


def _spelled(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
