"""A sentence as clauses, and which measure each number of a clause belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tasks.explaining.facts import FACE, LENGTH, WORDS, Role
from tasks.explaining.tokens import Break, Foreign, Moment, Number, Quote, Token, Word
from tasks.explaining.vocabulary import CLAIMLESS, ROLES

WITHOUT_ROLES = frozenset({WORDS, FACE, LENGTH})
"""Measures of which there is one value a clip."""

_SCORES = frozenset({"score", "scores"})
_COMPARING = frozenset({"over", "within"})
"""Words that claim nothing before "the clip", but compare before a number."""


class Unsupported(Exception):
    """A claim without a fact."""


@dataclass
class Clause:
    """A part of a sentence between two breaks.

    Attributes:
        moments: times and stretches of time.
        quotes: quoted words.
        numbers: with the measure of the clause that each belongs to; None: the clause names none.
        measures: in the order of their words.
        roles: what "highest" and the like say.
        names_scores: the word "score" or "scores" stands in it.
    """

    moments: list[Moment] = field(default_factory=list)
    quotes: list[Quote] = field(default_factory=list)
    numbers: list[tuple[Number, str | None]] = field(default_factory=list)
    measures: list[str] = field(default_factory=list)
    roles: set[Role] = field(default_factory=set)
    names_scores: bool = False

    @property
    def unnumbered(self) -> list[str]:
        """The measures that neither a number nor quoted words belong to."""
        taken = {measure for _, measure in self.numbers} | ({WORDS} if self.quotes else set())
        return [one for one in dict.fromkeys(self.measures) if one not in taken]

    @property
    def with_roles(self) -> set[str]:
        """The measures that "highest" and the like may be meant of."""
        return set(self.measures) - WITHOUT_ROLES


def clauses_of(tokens: Sequence[Token], phrases: Mapping[tuple[str, ...], str]) -> Iterator[Clause]:
    """Yield the clauses of a sentence.

    Args:
        tokens: of the sentence.
        phrases: measures by the words that name them.

    Raises:
        Unsupported: a word or sign may claim something that is not measured.
    """
    _check_no_comparison(tokens)
    clause, waiting, place = Clause(), list[Number](), 0
    while place < len(tokens):
        token, length = tokens[place], 1
        match token:
            case Foreign(text):
                raise Unsupported(f"{text!r}")
            case Break():
                clause.numbers += [(number, None) for number in waiting]
                yield clause
                clause, waiting = Clause(), []
            case Moment():
                clause.moments.append(token)
            case Quote():
                clause.quotes.append(token)
            case Number() if clause.measures:
                clause.numbers.append((token, clause.measures[-1]))
            case Number():
                waiting.append(token)
            case Word():
                measure, length = _named(tokens[place:], phrases)
                _note(token, measure, clause)
                if measure is not None:
                    clause.numbers += [(number, measure) for number in waiting]
                    waiting = []
        place += length
    clause.numbers += [(number, None) for number in waiting]
    yield clause


def _named(
    tokens: Sequence[Token], phrases: Mapping[tuple[str, ...], str]
) -> tuple[str | None, int]:
    """Return the measure that the next words name, and how many words that takes."""
    for length in range(max(map(len, phrases)), 0, -1):
        words = tuple(one.text for one in tokens[:length] if isinstance(one, Word))
        if len(words) == length and words in phrases:
            return phrases[words], length
    return None, 1


def _check_no_comparison(tokens: Sequence[Token]) -> None:
    for one, following in pairwise(tokens):
        if isinstance(one, Word) and one.text in _COMPARING and isinstance(following, Number):
            raise Unsupported(f"the word {one.text!r} before a number")


def _note(word: Word, measure: str | None, clause: Clause) -> None:
    role = ROLES.get(word.text)
    if role is not None:
        clause.roles.add(role)
    clause.names_scores |= word.text in _SCORES
    if measure is not None:
        clause.measures.append(measure)
    elif role is None and word.text not in CLAIMLESS:
        raise Unsupported(f"the word {word.text!r}")
