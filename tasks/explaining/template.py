"""The deterministic text: two or three sentences of measured facts, without a language model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from emi_model.targets import VAD_DIMENSIONS
from tasks.explaining.evidence import Evidence, EvidenceSecond, Pause
from tasks.explaining.facts import LOUDNESS_MEASURE, PITCH
from tasks.explaining.tokens import spoken_words

MOST_QUOTED_WORDS = 12

_READ = {LOUDNESS_MEASURE: ("loudness_dbfs", ".1f", " dBFS"), PITCH: ("pitch_hz", ".0f", " Hz")}


def template_sentences(evidence: Evidence) -> list[str]:
    """Return the sentences: scores; what was measured in one second; words, pauses, face.

    That second is the one of the highest arousal, or without VAD the loudest one.
    """
    found = (_of_scores(evidence), _of_the_second(evidence), _of_the_rest(evidence))
    return [_sentence(clauses) for clauses in map(list, found) if clauses] or [
        f"The recording lasts {evidence.seconds:.1f} s."
    ]


def _sentence(clauses: Sequence[str]) -> str:
    text = "; ".join(clauses)
    return f"{text[0].upper()}{text[1:]}."


def _of_scores(evidence: Evidence) -> Iterator[str]:
    if evidence.scores:
        name = max(evidence.scores, key=lambda one: evidence.scores[one])
        first = f"of the scores, {name.replace('_', ' ')} is the highest"
        yield f"{first} at {evidence.scores[name]:.2f}"
    if evidence.vad:
        named = [f"{name} {value:.2f}" for name, value in sorted(evidence.vad.items())]
        yield f"{'the estimate is ' if not evidence.scores else ''}{_listed(named)}"


def _of_the_second(evidence: Evidence) -> Iterator[str]:
    second, measure = _most_of(evidence.timeline)
    if second is None:
        return
    value = getattr(second, _READ[measure][0] if measure in _READ else measure)
    text = f"{measure} is highest at {second.second} s, {_value(measure, value)}"
    others = [
        f"a {name} of {_value(name, getattr(second, column))}"
        for name, (column, *_) in _READ.items()
        if name != measure and getattr(second, column) is not None
    ]
    if others:
        text += f", with {_listed(others)} there"
    means = []
    if evidence.loudness_dbfs is not None:
        means.append(f"mean loudness {_value(LOUDNESS_MEASURE, evidence.loudness_dbfs)}")
    if evidence.pitch_hz is not None:
        means.append(f"median pitch {_value(PITCH, evidence.pitch_hz)}")
    yield text + (f" ({', '.join(means)})" if means else "")


def _of_the_rest(evidence: Evidence) -> Iterator[str]:
    if evidence.spoken is not None:
        yield _of_words(evidence)
    if evidence.pauses is not None:
        yield _of_pauses(evidence.pauses)
    if evidence.face_share is not None:
        yield f"a face is seen in {100 * evidence.face_share:.0f} % of the pictures"


def _of_words(evidence: Evidence) -> str:
    """Quote what is said in the second of the highest arousal, or else first."""
    spoken = [one for one in evidence.spoken or () if spoken_words(one.text)]
    if not spoken:
        return "no words are spoken"
    second, _ = _most_of(evidence.timeline)
    at = 0.0 if second is None else second.second + 0.5
    nearest = min(spoken, key=lambda one: max(one.start_seconds - at, at - one.end_seconds, 0.0))
    words = filter(spoken_words, nearest.text.translate(_NO_QUOTES).split())
    quoted = " ".join(islice(words, MOST_QUOTED_WORDS))
    start, end = nearest.start_seconds, nearest.end_seconds
    return f'from {start:.1f} to {end:.1f} s the words "{quoted}" are heard'


def _of_pauses(pauses: Sequence[Pause]) -> str:
    if not pauses:
        return "there is no pause"
    longest = max(pauses, key=lambda one: one.end_seconds - one.start_seconds)
    start, end = longest.start_seconds, longest.end_seconds
    where = f"{end - start:.1f} s from {start:.1f} to {end:.1f} s"
    if len(pauses) == 1:
        return f"there is 1 pause, of {where}"
    return f"there are {len(pauses)} pauses, the longest of {where}"


def _most_of(timeline: Sequence[EvidenceSecond]) -> tuple[EvidenceSecond | None, str]:
    """Return the second with the highest arousal, or loudness, and which of the two it is."""
    for measure, column in ((VAD_DIMENSIONS[0],) * 2, (LOUDNESS_MEASURE, "loudness_dbfs")):
        found = [one for one in timeline if getattr(one, column) is not None]
        if found:
            return max(found, key=lambda one: getattr(one, column)), measure
    return None, ""


def _value(measure: str, value: float) -> str:
    _, digits, unit = _READ.get(measure, ("", ".2f", ""))
    return f"{value:{digits}}{unit}"


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))


_NO_QUOTES = str.maketrans('"“”', "   ")
