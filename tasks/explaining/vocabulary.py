"""The words that a sentence may use outside quotes: they claim nothing that was not measured.

A word that is not here (an age, a cause, a comparison, a negation) makes a sentence unsupported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tasks.explaining.facts import FACE, LENGTH, LOUDNESS_MEASURE, PAUSE, PITCH, WORDS, Role

CLAIMLESS = frozenset(
    {
        *(
            "a",
            "an",
            "the",
            "this",
            "that",
            "these",
            "there",
            "here",
            "it",
            "its",
            "of",
            "in",
            "on",
            "at",
            "to",
            "from",
            "with",
            "by",
            "for",
            "as",
            "over",
            "during",
        ),
        *(
            "within",
            "among",
            "between",
            "which",
            "where",
            "when",
            "then",
            "also",
            "is",
            "are",
            "was",
            "were",
            "be",
            "has",
            "have",
            "had",
        ),
        *(
            "clip",
            "recording",
            "sound",
            "voice",
            "speech",
            "speaker",
            "person",
            "video",
            "picture",
            "pictures",
            "score",
            "scores",
            "value",
        ),
        *(
            "values",
            "level",
            "model",
            "estimate",
            "estimates",
            "estimated",
            "measured",
            "seen",
            "shows",
            "shown",
            "spoken",
            "said",
            "says",
        ),
        *("heard", "reaches", "reached", "lies", "stands", "whole"),
    }
)
"""Words without a claim."""

ROLES: Mapping[str, Role] = {
    **dict.fromkeys(("highest", "loudest", "longest", "peak", "peaks", "maximum"), "highest"),
    **dict.fromkeys(("lowest", "quietest", "shortest", "minimum"), "lowest"),
    **dict.fromkeys(("mean", "average"), "mean"),
    "median": "median",
}
"""Words that say what a value is among others of its measure."""

_MEASURES: Mapping[str, str] = {
    **dict.fromkeys(("loudness", "loudest", "quietest"), LOUDNESS_MEASURE),
    "pitch": PITCH,
    **dict.fromkeys(("pause", "pauses", "longest", "shortest"), PAUSE),
    **dict.fromkeys(("word", "words"), WORDS),
    **dict.fromkeys(("face", "faces"), FACE),
    **dict.fromkeys(("lasts", "length"), LENGTH),
}


def measure_phrases(scores: Iterable[str]) -> dict[tuple[str, ...], str]:
    """Return the measures by the words that name them; a score's are those of its column.

    Args:
        scores: columns of the model's scores.
    """
    named = {(word,): measure for word, measure in _MEASURES.items()}
    return named | {tuple(column.split("_")): column for column in scores}
