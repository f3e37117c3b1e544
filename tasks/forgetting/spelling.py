"""Names of clips in texts: logs, reports, messages of runs."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, unquote

FORGOTTEN_NAME = "[forgotten]"
"""What stands where a name stood."""

_MAY_BEGIN = re.compile(r"(?<![\w.-])(?=\S)")
_GOES_ON = re.compile(r"[\w-]|\.\w")

_FILE_URI = "file://"


class Spellings:
    """Finds names of clips in texts, however they are spelled there.

    A name counts where it stands by itself: ``1.mp4`` is not in ``11.mp4``, but in ``a/1.mp4``.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Take clip ids and places of files, plain or as URIs."""
        self._spelled = {spelled for name in names for spelled in _spellings(name)}
        self._lengths = sorted({len(name) for name in self._spelled}, reverse=True)

    def are_in(self, text: str) -> bool:
        """Return whether a text names any of the clips."""
        return next(self._places(text), None) is not None

    def taken_from(self, text: str) -> str:
        """Return a text with `FORGOTTEN_NAME` in place of each name."""
        parts, after = [], 0
        for start, end in self._places(text):
            parts += [text[after:start], FORGOTTEN_NAME]
            after = end
        return "".join([*parts, text[after:]])

    def taken_from_value(self, value: Any) -> Any:
        """Return a value of a table with the names taken from all texts in it."""
        if isinstance(value, str):
            return self.taken_from(value)
        if isinstance(value, dict):
            return {name: self.taken_from_value(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):  # the pairs of a map, too
            return type(value)(self.taken_from_value(inner) for inner in value)
        return value

    def _places(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield start and end of each name, one after the other."""
        after = 0
        for beginning in _MAY_BEGIN.finditer(text):
            start = beginning.start()
            if start < after:
                continue
            for length in self._lengths:
                end = start + length
                if text[start:end] in self._spelled and not _GOES_ON.match(text, end):
                    yield start, end
                    after = end
                    break


def _spellings(name: str) -> Iterator[str]:
    """Yield a name as texts may spell it: composed or not; in URIs, JSON, Python's repr, HTML."""
    plain = [name]
    if name.startswith(_FILE_URI):
        plain.append(unquote(name.removeprefix(_FILE_URI)))
    for one in plain:
        for form in ("NFC", "NFD"):
            composed = unicodedata.normalize(form, one)
            yield composed
            yield quote(composed)
            yield json.dumps(composed)[1:-1]
            yield repr(composed)[1:-1]
            yield (escaped := html.escape(composed))
            yield escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")  # of Jinja
        yield one
