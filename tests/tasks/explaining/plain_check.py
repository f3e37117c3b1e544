"""A second, plainer check of a sentence: is every second, word and number anywhere in the evidence?

It shares no code with the checker of the project, and knows no clauses.
"""

from __future__ import annotations

import re

from tasks.explaining.evidence import Evidence

TYPED = str.maketrans("\u2212\u2019\u201c\u201d", '-\'""')
WORDS_OF_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight"]


def unsupported(sentence: str, evidence: Evidence) -> list[str]:
    """Return the numbers and quoted words of a sentence that the evidence does not hold."""
    sentence = sentence.translate(TYPED)
    quotes = re.findall(r'"([^"]*)"', sentence)
    rest = re.sub(r'"[^"]*"', " ", sentence)
    said = _plain(" ".join(one.text for one in evidence.spoken or ()))
    wrong = [quote for quote in quotes if not _plain(quote).strip() or _plain(quote) not in said]
    values = numbers_of(evidence)
    for text in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", rest):
        half = 0.5 * 10.0 ** -len(text.partition(".")[2]) + 1e-6
        if not any(abs(float(text) - value) <= half for value in values):
            wrong.append(text)
    wrong += [
        word
        for number, word in enumerate(WORDS_OF_NUMBERS)
        if re.search(rf"\b{word}\b", rest, re.IGNORECASE)
        and number not in (len(evidence.pauses or ()), len(said.split()))
    ]
    return wrong


def numbers_of(evidence: Evidence) -> list[float]:
    """Return every number that was measured, in the units of sentences."""
    values = [evidence.seconds, evidence.loudness_dbfs, evidence.pitch_hz]
    values += [*evidence.scores.values(), *evidence.vad.values()]
    for one in evidence.timeline:
        values += [one.second, one.loudness_dbfs, one.pitch_hz]
        values += [one.arousal, one.dominance, one.valence]
    for one in evidence.pauses or ():
        values += [one.start_seconds, one.end_seconds, one.end_seconds - one.start_seconds]
    values += [end for one in evidence.spoken or () for end in (one.start_seconds, one.end_seconds)]
    values += [len(_plain(" ".join(one.text for one in evidence.spoken or ())).split())]
    values += [len(evidence.pauses or ())]
    values += [None if evidence.face_share is None else 100 * evidence.face_share]
    # a moment within a pause or a stretch of speech, to a tenth of a second
    values += [
        start + step / 10
        for one in (*(evidence.pauses or ()), *(evidence.spoken or ()))
        for start in [one.start_seconds]
        for step in range(int((one.end_seconds - start) * 10) + 1)
    ]
    return [value for value in values if value is not None]


def _plain(text: str) -> str:
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.translate(TYPED).lower())
    return f" {' '.join(words)} "
