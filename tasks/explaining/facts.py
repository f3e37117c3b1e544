"""Evidence as single facts, each of which a sentence may cite."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from emi_model.targets import VAD_DIMENSIONS
from tasks.explaining.evidence import Evidence
from tasks.explaining.tokens import spoken_words

Role = Literal["", "highest", "lowest", "mean", "median"]
"""What is special about a value among others of its measure; empty: nothing need be."""

LOUDNESS_MEASURE, PITCH, PAUSE, WORDS, FACE, LENGTH = (
    "loudness",
    "pitch",
    "pause",
    "words",
    "face",
    "length",
)
UNITS: Mapping[str, str] = {LOUDNESS_MEASURE: "dBFS", PITCH: "Hz", LENGTH: "s", FACE: "%"}
"""Of measures that have one; a pause has a length in s, and pauses are counted."""


@dataclass(frozen=True)
class Fact:
    """One measured value.

    Attributes:
        measure: what was measured: loudness, pitch, pause, ..., or the column of a score.
        value: of it.
        unit: of the value; empty for scores and counts.
        start: where it holds, in seconds of the recording; None: over the whole clip.
        end: where that ends, half-open.
        roles: what the value is among those of its measure.
    """

    measure: str
    value: float
    unit: str = ""
    start: float | None = None
    end: float = math.inf
    roles: frozenset[Role] = frozenset()


def facts_of(evidence: Evidence) -> list[Fact]:
    """Return every fact of the evidence."""
    return [
        Fact(LENGTH, evidence.seconds, UNITS[LENGTH]),
        *_scores(evidence.scores),
        *(Fact(name, value, roles=frozenset({"mean"})) for name, value in evidence.vad.items()),
        *_by_second(evidence),
        *_over_the_clip(evidence),
        *_pauses(evidence),
    ]


def _scores(scores: Mapping[str, float]) -> Iterator[Fact]:
    yield from (
        Fact(name, value, roles=roles)
        for (name, value), roles in zip(scores.items(), _roles([*scores.values()]), strict=True)
    )


def _by_second(evidence: Evidence) -> Iterator[Fact]:
    columns = {LOUDNESS_MEASURE: "loudness_dbfs", PITCH: "pitch_hz"} | {
        name: name for name in VAD_DIMENSIONS
    }
    for measure, column in columns.items():
        found = [
            (one.second, getattr(one, column))
            for one in evidence.timeline
            if getattr(one, column) is not None
        ]
        for (second, value), roles in zip(
            found, _roles([value for _, value in found]), strict=True
        ):
            yield Fact(measure, value, UNITS.get(measure, ""), second, second + 1, roles)


def _over_the_clip(evidence: Evidence) -> Iterator[Fact]:
    if evidence.loudness_dbfs is not None:
        unit = UNITS[LOUDNESS_MEASURE]
        yield Fact(LOUDNESS_MEASURE, evidence.loudness_dbfs, unit, roles=frozenset({"mean"}))
    if evidence.pitch_hz is not None:
        yield Fact(PITCH, evidence.pitch_hz, UNITS[PITCH], roles=frozenset({"median"}))
    if evidence.face_share is not None:
        yield Fact(FACE, 100 * evidence.face_share, UNITS[FACE])
    if evidence.spoken is not None:
        yield Fact(WORDS, sum(len(spoken_words(one.text)) for one in evidence.spoken))


def _pauses(evidence: Evidence) -> Iterator[Fact]:
    if evidence.pauses is None:
        return
    yield Fact(PAUSE, len(evidence.pauses))
    lengths = [one.end_seconds - one.start_seconds for one in evidence.pauses]
    for one, length, roles in zip(evidence.pauses, lengths, _roles(lengths), strict=True):
        yield Fact(PAUSE, length, "s", one.start_seconds, one.end_seconds, roles)


def _roles(values: Sequence[float]) -> list[frozenset[Role]]:
    """Return which of the values are the highest and the lowest; of one, it is both."""
    ends: dict[Role, float] = {"highest": max(values), "lowest": min(values)} if values else {}
    return [frozenset(role for role, end in ends.items() if value == end) for value in values]
