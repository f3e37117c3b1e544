"""Checks a sentence against the evidence: every second, word and number in it must be a fact.

The rules, clause by clause (commas, brackets, "and" divide a sentence):

- A number belongs to the measure named last before it, else to the next one, else to that of the
  clause before. It must equal a fact of this measure and unit within half a unit of the last digit
  that was written, at most 0.05 for scores and seconds, 0.5 for dBFS, Hz and %, 0 for counts.
- A time must lie within the clip. A number in a clause with a time must be a fact of that second or
  stretch; without one, of the whole clip. A time holds for the clauses that follow, until another.
- "highest", "longest", "mean" and the like must be true of the fact.
- Quoted words must be in the transcript, one after another, at that time if there is one.
- Every other word must be one that claims nothing (`tasks.explaining.vocabulary`).
- A sentence that cites nothing is not supported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.explaining.evidence import Evidence
from tasks.explaining.facts import FACE, PAUSE, WORDS, Fact, Role, facts_of
from tasks.explaining.tokens import (
    Break,
    Foreign,
    Moment,
    Number,
    Quote,
    Token,
    Word,
    Written,
    sentences_of,
    spoken_words,
    tokens_of,
)
from tasks.explaining.vocabulary import CLAIMLESS, ROLES, measure_phrases

MOST_TOLERANCE: Mapping[str, float] = {"": 0.05, "s": 0.05, "dBFS": 0.5, "Hz": 0.5, "%": 0.5}
_EXACT = 1e-6

_COUNTED = frozenset({PAUSE, WORDS, FACE})
"""Measures of what may be absent: to name one is to say that it is there."""


@dataclass
class _Clause:
    """A part of a sentence between two breaks; numbers with the measure that each belongs to."""

    moments: list[Moment] = field(default_factory=list)
    quotes: list[Quote] = field(default_factory=list)
    numbers: list[tuple[Number, str | None]] = field(default_factory=list)
    measures: list[str] = field(default_factory=list)
    roles: set[Role] = field(default_factory=set)


@dataclass
class _Context:
    """What clauses before have said: their measure, roles and time."""

    measure: str | None = None
    roles: frozenset[Role] = frozenset()
    moment: Moment | None = None
    is_pending: bool = False
    num_claims: int = 0


class _Unsupported(Exception):
    """A claim without a fact."""


class SupportChecker:
    """Checks sentences about one clip."""

    def __init__(self, evidence: Evidence) -> None:
        """Take the clip's evidence."""
        self._seconds = evidence.seconds
        self._facts = facts_of(evidence)
        self._phrases = measure_phrases([*evidence.scores, *evidence.vad])
        self._longest = max(map(len, self._phrases))
        self._heard = [
            (word, one.start_seconds, one.end_seconds)
            for one in evidence.spoken or ()
            for word in spoken_words(one.text)
        ]

    def problem(self, sentence: str) -> str | None:
        """Return the first claim of a sentence that no fact supports; None if all are facts."""
        context = _Context()
        try:
            for clause in self._clauses(list(tokens_of(sentence))):
                self._check(clause, context)
        except _Unsupported as found:
            return str(found)
        if context.is_pending:
            return "a time at which nothing is cited"
        return None if context.num_claims else "cites nothing"

    def kept(self, text: str) -> tuple[list[str], int]:
        """Return the supported sentences of a text, each once, and how many were not supported."""
        found = sentences_of(text)
        kept = [one for one in found if self.problem(one) is None]
        return [*dict.fromkeys(kept)], len(found) - len(kept)

    def _clauses(self, tokens: Sequence[Token]) -> Iterator[_Clause]:
        clause, waiting, place = _Clause(), list[Number](), 0
        while place < len(tokens):
            token, length = tokens[place], 1
            match token:
                case Foreign(text):
                    raise _Unsupported(f"{text!r}")
                case Break():
                    clause.numbers += [(number, None) for number in waiting]
                    yield clause
                    clause, waiting = _Clause(), []
                case Moment():
                    clause.moments.append(token)
                case Quote():
                    clause.quotes.append(token)
                case Number() if clause.measures:
                    clause.numbers.append((token, clause.measures[-1]))
                case Number():
                    waiting.append(token)
                case Word():
                    measure, length = self._named(tokens[place:])
                    self._note(token, measure, clause)
                    if measure is not None:
                        clause.numbers += [(number, measure) for number in waiting]
                        waiting = []
            place += length
        clause.numbers += [(number, None) for number in waiting]
        yield clause

    def _named(self, tokens: Sequence[Token]) -> tuple[str | None, int]:
        """Return the measure that the next words name, and how many words that takes."""
        for length in range(self._longest, 0, -1):
            words = tuple(one.text for one in tokens[:length] if isinstance(one, Word))
            if len(words) == length and words in self._phrases:
                return self._phrases[words], length
        return None, 1

    def _note(self, word: Word, measure: str | None, clause: _Clause) -> None:
        role = ROLES.get(word.text)
        if role is not None:
            clause.roles.add(role)
        if measure is not None:
            clause.measures.append(measure)
        elif role is None and word.text not in CLAIMLESS:
            raise _Unsupported(f"the word {word.text!r}")

    def _check(self, clause: _Clause, context: _Context) -> None:
        if len(clause.moments) > 1:
            raise _Unsupported("two times in one clause")
        for moment in clause.moments:
            self._check_within(moment)
            context.moment, context.is_pending = moment, True
        own = bool(clause.moments)
        if clause.measures:
            context.measure, context.roles = clause.measures[-1], frozenset(clause.roles)
        elif clause.roles:
            context.roles = frozenset(clause.roles)
        for number, measure in clause.numbers:
            self._check_number(number, measure or context.measure, own, context)
        for quote in clause.quotes:
            self._check_quote(quote, context)
        context.num_claims += len(clause.numbers) + len(clause.quotes)
        if not clause.numbers and not clause.quotes and (own or clause.roles or clause.measures):
            self._check_named(clause, own, context)

    def _check_within(self, moment: Moment) -> None:
        start = moment.start.value
        end = moment.end.value - _tolerance(moment.end, "s") if moment.end else start
        if end > self._seconds or start > self._seconds or (moment.end and start > end + 0.1):
            raise _Unsupported(f"a time outside the {self._seconds:.1f} s of the clip")

    def _check_number(
        self, number: Number, measure: str | None, own: bool, context: _Context
    ) -> None:
        if measure is None:
            raise _Unsupported(f"the number {number.written.value:g} of nothing")
        alike = [
            fact for fact in self._facts if (fact.measure, fact.unit) == (measure, number.unit)
        ]
        for fact in alike:
            if (
                _equals(number, fact)
                and context.roles <= fact.roles
                and self._holds_then(fact, own, context, alike)
            ):
                return
        raise _Unsupported(f"the {measure} {number.written.value:g} {number.unit}".rstrip())

    def _holds_then(self, fact: Fact, own: bool, context: _Context, alike: Sequence[Fact]) -> bool:
        """Tell whether a fact holds at the clause's time, and note that the time was cited."""
        moment = context.moment
        if moment is None:
            return fact.start is None or bool(context.roles & {"highest", "lowest"})
        if fact.start is not None:
            if not _contains(fact, moment):
                return False
            context.is_pending = False
            return True
        averaged = bool(context.roles & {"mean", "median"})
        return not own and (averaged or all(one.start is None for one in alike))

    def _check_quote(self, quote: Quote, context: _Context) -> None:
        words = spoken_words(quote.text)
        starts = range(len(self._heard) - len(words) + 1) if words else ()
        for start in starts:
            found = self._heard[start : start + len(words)]
            if [word for word, *_ in found] != words:
                continue
            stretches = {(one[1], one[2]) for one in found}
            moment = context.moment
            if moment is None or any(
                _contains(Fact("", 0.0, start=begin, end=end), moment) for begin, end in stretches
            ):
                context.is_pending = False
                return
        raise _Unsupported(f'the words "{quote.text}"')

    def _check_named(self, clause: _Clause, own: bool, context: _Context) -> None:
        """Check a clause that names a measure, a role or a time, and cites no number."""
        if context.measure is None and not clause.roles:
            return  # a time alone: it is for the clauses that follow
        for fact in self._facts:
            if (
                fact.measure == context.measure
                and context.roles <= fact.roles
                and (not own or (fact.start is not None and _contains(fact, context.moment)))
                and (fact.value > 0 or fact.measure not in _COUNTED)
            ):
                context.num_claims += own or bool(clause.roles)
                context.is_pending = context.is_pending and not own
                return
        raise _Unsupported(f"{' '.join(sorted(context.roles))} {context.measure}".strip())


def _tolerance(written: Written, unit: str) -> float:
    return min(written.tolerance, MOST_TOLERANCE[unit]) + _EXACT


def _equals(number: Number, fact: Fact) -> bool:
    """Tell whether a number is a fact's value; one without unit that is whole is a count."""
    is_count = not fact.unit and fact.measure in _COUNTED
    tolerance = _EXACT if is_count else _tolerance(number.written, number.unit)
    return abs(number.written.value - fact.value) <= tolerance


def _contains(fact: Fact, moment: Moment | None) -> bool:
    """Tell whether a fact holds at a time, or exactly over a stretch."""
    if fact.start is None or moment is None:
        return False
    start, tolerance = moment.start.value, _tolerance(moment.start, "s")
    if moment.end is None:
        if fact.end - fact.start == 1 and fact.start == int(fact.start):
            return fact.start <= start < fact.end
        return fact.start - tolerance <= start <= fact.end + tolerance
    return abs(start - fact.start) <= tolerance and abs(moment.end.value - fact.end) <= _tolerance(
        moment.end, "s"
    )
