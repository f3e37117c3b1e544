"""Values of settings, from text."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from emi_model.errors import ConfigError

_WORDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    tuple: "two numbers, as in 0.9,1.1",
    NoneType: "none",
}


def parsed(key: str, text: str, hint: Any) -> Any:
    """Return a text as a value of a type.

    Raises:
        ConfigError: it is none; the message names the key.
    """
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    plain = [get_origin(kind) or kind for kind in kinds]
    if NoneType in plain and text.lower() == "none":
        return None
    for kind in plain:
        try:
            if kind is bool:
                return {"true": True, "false": False}[text.lower()]
            if kind is tuple:
                low, high = map(float, text.split(","))
                return low, high
            if kind in (int, float):
                return kind(text)
        except (KeyError, ValueError):
            continue
        if kind in (str, Literal):
            return text
    expected = " or ".join(_WORDS.get(kind, str(kind)) for kind in plain)
    raise ConfigError(f"{key} is {text!r}, expected {expected}")
