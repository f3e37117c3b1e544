"""A sentence as quoted words, moments, stretches of time, numbers, words and breaks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Written:
    """A number as it was written: its value, and half a unit of its last digit."""

    value: float
    tolerance: float


@dataclass(frozen=True)
class Quote:
    """Words between double quotes."""

    text: str


@dataclass(frozen=True)
class Moment:
    """A time or a stretch of time of the recording, in seconds; ``end`` is None for a time."""

    start: Written
    end: Written | None = None


@dataclass(frozen=True)
class Number:
    """A number with its unit; empty: none."""

    written: Written
    unit: str


@dataclass(frozen=True)
class Word:
    """A word in lower case."""

    text: str


@dataclass(frozen=True)
class Break:
    """What divides a sentence into clauses."""


@dataclass(frozen=True)
class Foreign:
    """Anything else: no sentence that is shown holds it."""

    text: str


Token = Quote | Moment | Number | Word | Break | Foreign

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_ENDS = r"(?!\w|[.,][0-9])"
_SECONDS = r"s|seconds?"
_TOKEN = re.compile(
    rf"""
    "(?P<quoted>[^"]*)"
    | (?:(?:from|at|between)\s+)?(?:seconds?\s+)?(?P<start>{_NUMBER})(?:\s*(?:{_SECONDS}))?
      \s*(?:to|-|(?P<and>and))\s*(?P<end>{_NUMBER})\s*(?:{_SECONDS}){_ENDS}
    | (?:at\s+)?seconds?\s+(?P<second>{_NUMBER}){_ENDS}
    | at\s+(?P<at>{_NUMBER})\s*(?:{_SECONDS}){_ENDS}
    | (?P<value>-?{_NUMBER})(?:\s*(?P<unit>dBFS|dB|Hz|%|percent|{_SECONDS}))?{_ENDS}
    | (?P<word>[a-z]+(?:['-][a-z]+)*)(?!\w)
    | (?P<break>[,;:()]|\s-\s) | (?P<blank>\s+|[.!](?=\s*$)) | (?P<foreign>.)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)

_TYPED = str.maketrans(
    {
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": ";",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    }
)
"""Printers' signs as a keyboard has them."""

_UNITS = {"dbfs": "dBFS", "db": "dBFS", "hz": "Hz", "%": "%", "percent": "%"}
_CONJUNCTIONS = frozenset({"and", "while", "but"})
_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

_SENTENCE = re.compile(r"""(?:"[^"\n]*"|[^.!?\n]|[.!?](?!\s|$))+[.!?]?""")


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a text, as full stops outside quotes and line breaks divide it."""
    found = (" ".join(one.split()) for one in _SENTENCE.findall(text.translate(_TYPED)))
    return [one for one in found if one]


def tokens_of(sentence: str) -> Iterator[Token]:
    """Yield the tokens of a sentence."""
    for match in _TOKEN.finditer(sentence.translate(_TYPED)):
        token = _token(match)
        if token is not None:
            yield token


def spoken_words(text: str) -> list[str]:
    """Return the words of speech in lower case, without punctuation."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.translate(_TYPED).lower())


def _token(match: re.Match[str]) -> Token | None:
    part = match.groupdict()
    if part["quoted"] is not None:
        return Quote(part["quoted"])
    if part["start"] is not None:
        if part["and"] is not None and not match.group().lower().startswith("between"):
            return Foreign(match.group())  # two numbers or one stretch: nobody can tell
        return Moment(_written(part["start"]), _written(part["end"]))
    moment = part["second"] or part["at"]
    if moment is not None:
        return Moment(_written(moment))
    if part["value"] is not None:
        return Number(_written(part["value"]), _unit(part["unit"]))
    if part["word"] is not None:
        return _word(part["word"].lower())
    if part["break"] is not None:
        return Break()
    return None if part["blank"] is not None else Foreign(match.group())


def _word(text: str) -> Token:
    if text in _CONJUNCTIONS:
        return Break()
    if text in _COUNTS:
        return Number(Written(_COUNTS.index(text), 0.0), "")
    return Word(text)


def _written(text: str) -> Written:
    decimals = len(text.partition(".")[2])
    return Written(float(text), 0.5 * 10.0**-decimals)


def _unit(text: str | None) -> str:
    return _UNITS.get(text.lower(), "s") if text else ""
