"""The console that draws our tables: rich's, without a meaning in the text of others."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from flows.display.text import LINES, printable


class PlainConsole(Console):
    """A console that takes text as it is: no markup, no emoji codes, no control characters."""

    def __init__(self, **options: Any) -> None:
        """Take the options of `rich.console.Console`."""
        super().__init__(**options, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text that a string stands for, here or in a table's cell."""
        return super().render_str(printable(text, LINES), **options)
