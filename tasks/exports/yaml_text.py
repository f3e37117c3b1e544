"""Facts as YAML, which other tools expect; every value is spelled as JSON, which YAML contains."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_UNPRINTABLE = re.compile(
    "[^\n\u0020-\u007e\u00a0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
"""What YAML does not take (https://yaml.org/spec/1.2.2/#51-character-set), and rare line breaks."""


def as_yaml(facts: Mapping[str, Any]) -> str:
    """Return a mapping, of nested ones, lists and plain values, as YAML."""
    return "".join(_lines(facts, ""))


def _lines(facts: Mapping[str, Any], margin: str) -> Iterator[str]:
    for key, value in facts.items():
        if isinstance(value, Mapping) and value:
            yield f"{margin}{_spelled(key)}:\n"
            yield from _lines(value, f"{margin}  ")
        else:
            yield f"{margin}{_spelled(key)}: {_spelled(value)}\n"


def _spelled(value: Any) -> str:
    is_plain = isinstance(value, str) and re.fullmatch(r"[a-z][a-z_0-9]*", value)
    plain = value if is_plain and value not in _WORDS else json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub("\ufffd", plain)


_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
"""What YAML takes for no text."""
