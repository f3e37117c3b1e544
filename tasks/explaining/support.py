"""Checks a sentence against the evidence: every second, word and number in it must be a fact.

The rules, clause by clause (commas, brackets, "and" divide a sentence):

- A number belongs to the measure named last before it, else to the next one, else to that of the
  clause before. It must equal a fact of this measure and unit within half a unit of the last digit
  that was written, at most 0.05 for scores and seconds, 0.5 for dBFS, Hz and %, 0 for counts.
- A time must lie within the clip. A number in a clause with a time must be a fact of that second or
  stretch; without one, of the whole clip. A time holds for the clauses that follow, until another.
- A measure that is named without a number must have a fact at that time; a pause, words, a face and
  a pitch must be there. At a time, words need a quote and a face a number.
- "highest", "longest", "mean" and the like must be true of every measure of the clause, also beside
  quoted words; of words and faces nothing is the highest. Where "score" stands, in the clause or
  leading up to it, the highest of a measure's seconds is not the highest.
- Quoted words must be in the transcript, one after another, at that time if there is one.
- Every other word must be one that claims nothing (`tasks.explaining.vocabulary`).
- A sentence that cites nothing is not supported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.explaining.clauses import WITHOUT_ROLES, Clause, Unsupported, clauses_of
from tasks.explaining.evidence import Evidence
from tasks.explaining.facts import FACE, PAUSE, PITCH, WORDS, Fact, Role, facts_of
from tasks.explaining.tokens import (
    Moment,
    Number,
    Quote,
    Written,
    sentences_of,
    spoken_words,
    tokens_of,
)
from tasks.explaining.vocabulary import measure_phrases

MOST_TOLERANCE: Mapping[str, float] = {"": 0.05, "s": 0.05, "dBFS": 0.5, "Hz": 0.5, "%": 0.5}
_EXACT = 1e-6

_COUNTED = frozenset({PAUSE, WORDS, FACE})
"""Measures of what may be absent: to name one is to say that it is there."""

_LACKING_AT_TIMES = _COUNTED | {PITCH}
"""Measures of what may be absent in one second: that it is in the clip says nothing of a time."""

_ENDS = frozenset[Role]({"highest", "lowest"})


@dataclass
class _Context:
    """What this clause and those before have said.

    Attributes:
        measure: named last.
        roles: that the measure was given.
        moment: named last.
        is_own: this clause names the time.
        is_pending: nothing was cited at the time yet.
        of_scores: "highest" is meant among the scores.
        is_compared: a role was named since.
        num_claims: cited so far.
    """

    measure: str | None = None
    roles: frozenset[Role] = frozenset()
    moment: Moment | None = None
    is_own: bool = False
    is_pending: bool = False
    of_scores: bool = False
    is_compared: bool = False
    num_claims: int = 0


class SupportChecker:
    """Checks sentences about one clip."""

    def __init__(self, evidence: Evidence) -> None:
        """Take the clip's evidence."""
        self._seconds = evidence.seconds
        self._facts = facts_of(evidence)
        self._phrases = measure_phrases([*evidence.scores, *evidence.vad])
        self._heard = [
            (word, one.start_seconds, one.end_seconds)
            for one in evidence.spoken or ()
            for word in spoken_words(one.text)
        ]

    def problem(self, sentence: str) -> str | None:
        """Return the first claim of a sentence that no fact supports; None if all are facts."""
        context = _Context()
        try:
            for clause in clauses_of(list(tokens_of(sentence)), self._phrases):
                self._check(clause, context)
            if context.of_scores and not context.is_compared and context.roles:
                self._check_named(context.measure, Clause(), context)  # "..., of the scores"
        except Unsupported as found:
            return str(found)
        if context.is_pending:
            return "a time at which nothing is cited"
        return None if context.num_claims else "cites nothing"

    def kept(self, text: str) -> tuple[list[str], int]:
        """Return the supported sentences of a text, each once, and how many were not supported."""
        found = sentences_of(text)
        kept = [one for one in found if self.problem(one) is None]
        return [*dict.fromkeys(kept)], len(found) - len(kept)

    def _check(self, clause: Clause, context: _Context) -> None:
        if len(clause.moments) > 1:
            raise Unsupported("two times in one clause")
        for moment in clause.moments:
            self._check_within(moment)
            context.moment, context.is_pending = moment, True
        context.is_own = bool(clause.moments)
        if clause.measures:
            context.measure, context.roles = clause.measures[-1], frozenset(clause.roles)
        elif clause.roles:
            context.roles = frozenset(clause.roles)
        self._note_scores(clause, context)
        for number, measure in clause.numbers:
            self._check_number(number, measure or context.measure, clause, context)
        for quote in clause.quotes:
            self._check_quote(quote, context)
        context.num_claims += len(clause.numbers) + len(clause.quotes)
        for measure in clause.unnumbered:
            self._check_named(measure, clause, context)
        if clause.measures or clause.numbers:
            return
        if clause.roles or (context.is_own and context.measure and not clause.quotes):
            self._check_named(context.measure, clause, context)

    def _note_scores(self, clause: Clause, context: _Context) -> None:
        """Note whether "highest" is meant among the scores; a time after such a role ends that."""
        if clause.names_scores:
            context.of_scores, context.is_compared = True, False
        elif context.is_compared and context.is_own:
            context.of_scores = False
        context.is_compared |= bool(clause.roles)

    def _check_within(self, moment: Moment) -> None:
        start = moment.start.value
        end = moment.end.value - _tolerance(moment.end, "s") if moment.end else start
        if end > self._seconds or start > self._seconds or (moment.end and start > end + 0.1):
            raise Unsupported(f"a time outside the {self._seconds:.1f} s of the clip")

    def _check_number(
        self, number: Number, measure: str | None, clause: Clause, context: _Context
    ) -> None:
        if measure is None:
            raise Unsupported(f"the number {number.written.value:g} of nothing")
        alike = [
            fact for fact in self._facts if (fact.measure, fact.unit) == (measure, number.unit)
        ]
        for fact in alike:
            if (
                _equals(number, fact)
                and context.roles <= fact.roles
                and self._holds_then(fact, clause, context, alike)
            ):
                return
        raise Unsupported(f"the {measure} {number.written.value:g} {number.unit}".rstrip())

    def _holds_then(
        self, fact: Fact, clause: Clause, context: _Context, alike: Sequence[Fact]
    ) -> bool:
        """Tell whether a fact holds at the clause's time, and note that the time was cited."""
        moment, is_an_end = context.moment, bool(context.roles & _ENDS)
        if fact.start is not None and is_an_end and context.of_scores:
            return False
        if moment is None:
            # the ends of two measures may be seconds apart
            return fact.start is None or (is_an_end and len(clause.with_roles) <= 1)
        if fact.start is not None:
            if not _contains(fact, moment):
                return False
            context.is_pending = False
            return True
        averaged = bool(context.roles & {"mean", "median"})
        return not context.is_own and (averaged or all(one.start is None for one in alike))

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
        raise Unsupported(f'the words "{quote.text}"')

    def _check_named(self, measure: str | None, clause: Clause, context: _Context) -> None:
        """Check a measure, with its roles, that is named without a number."""
        roles = context.roles
        if measure in WITHOUT_ROLES and clause.with_roles:
            roles = frozenset()
        alike = [fact for fact in self._facts if fact.measure == measure]
        for fact in alike:
            if roles <= fact.roles and self._is_there(fact, clause, context, alike):
                is_then = context.moment is not None and fact.start is not None
                context.num_claims += is_then or bool(clause.roles)
                return
        raise Unsupported(f"{' '.join(sorted(roles))} {measure or 'of nothing'}".strip())

    def _is_there(
        self, fact: Fact, clause: Clause, context: _Context, alike: Sequence[Fact]
    ) -> bool:
        """Tell whether what a fact measures is there at the clause's time."""
        if fact.value <= 0 and fact.measure in _COUNTED:
            return False
        if context.moment is None and not context.roles:
            return True
        if context.moment is None and (clause.numbers or clause.quotes):
            return fact.start is None
        if context.moment is not None and fact.start is None and fact.measure in _LACKING_AT_TIMES:
            return False
        return self._holds_then(fact, clause, context, alike)


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
