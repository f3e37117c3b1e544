"""IEMOCAP: ten actors in five sessions of two, in scripted and improvised dialogues."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tasks.datasets.layout import (
    RATED_AROUSAL,
    RATED_DOMINANCE,
    RATED_VALENCE,
    DatasetClip,
    dimensions,
)
from tasks.datasets.tree import Tree

_CATEGORIES = {
    "anger": "Anger",
    "happiness": "Happiness",
    "excited": "Excitement",
    "sadness": "Sadness",
    "frustration": "Frustration",
    "fear": "Fear",
    "disgust": "Disgust",
    "surprise": "Surprise",
    "neutral": "Neutral",
    "neutral state": "Neutral",
}
_OTHER = "Other"
IEMOCAP_CATEGORIES = (*dict.fromkeys(_CATEGORIES.values()), _OTHER)
IEMOCAP_TARGETS = (*IEMOCAP_CATEGORIES, RATED_AROUSAL, RATED_DOMINANCE, RATED_VALENCE)

_TURN = re.compile(
    r"\[[\d.]+ - [\d.]+\]\s+((Ses(\d\d))[FM]?_\w+_([FM])\w+)\s+\w+\s+"
    r"\[([\d.]+),\s*([\d.]+),\s*([\d.]+)\]"
)
_RATER = re.compile(r"C-E\d+:\s*([^(]*)")
"""A line of one of those who rated afterwards; ``C-F1`` and ``C-M1`` are the actors themselves."""

_LOWEST, _HIGHEST = 1, 5


class _Turn(NamedTuple):
    """An utterance: the header line's match, and the categories that each rater named."""

    header: re.Match[str]
    named: list[set[str]]


def read_iemocap(tree: Tree) -> Iterator[DatasetClip]:
    """Yield the utterances of ``SessionN/dialog/EmoEvaluation/*.txt``.

    A category is the share of the raters who named it; one rater may name two. What is on no list
    is ``Other``. Dimensions are means of ratings from 1 to 5, brought to 0 to 1; a mean outside
    (mistyped ratings) is missing. Whole sessions are drawn into splits: the two actors of one hear
    each other.

    Raises:
        LabelError: there are no such files, or no utterance in them.
    """
    num_odd, found = 0, False
    for path in tree.paths(
        "Session[1-5]/dialog/EmoEvaluation/Ses*.txt", "*/Session[1-5]/dialog/EmoEvaluation/Ses*.txt"
    ):
        for turn in _turns(path):
            found = True
            values = _scaled(turn.header.groups()[-3:])
            num_odd += None in values
            yield _labelled(turn, values)
    if not found:
        raise tree.refused("no utterance in the files of EmoEvaluation")
    if num_odd:
        tree.notes.append(f"{num_odd} utterances have a mean outside 1 to 5, taken as missing")


def _turns(path: Path) -> Iterator[_Turn]:
    turn = None
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        header = _TURN.match(line)
        if header is not None:
            if turn is not None:
                yield turn
            turn = _Turn(header, [])
        elif turn is not None and (rater := _RATER.match(line)) is not None:
            words = [word.strip().lower() for word in rater[1].split(";")]
            turn.named.append({_CATEGORIES.get(word, _OTHER) for word in words if word})
    if turn is not None:
        yield turn


def _scaled(numbers: Sequence[str]) -> list[float | None]:
    """Return ratings from 1 to 5 as 0 to 1; None for one outside."""
    shares = [(float(number) - _LOWEST) / (_HIGHEST - _LOWEST) for number in numbers]
    return [share if 0 <= share <= 1 else None for share in shares]


def _labelled(turn: _Turn, scaled: Sequence[float | None]) -> DatasetClip:
    name, session, number, gender = turn.header.groups()[:4]
    valence, arousal, dominance = scaled
    raters = [named for named in turn.named if named]
    counts = Counter(category for named in raters for category in named)
    shares: dict[str, float | None] = {
        category: counts[category] / len(raters) if raters else None
        for category in IEMOCAP_CATEGORIES
    }
    return DatasetClip(
        name,
        shares | dimensions(arousal=arousal, dominance=dominance, valence=valence),
        speaker=f"{session}{gender}",
        group=f"Session{int(number)}",
        num_raters=len(raters) or None,
    )
