"""MSP-Podcast: speech of podcasts, rated by many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tasks.datasets.clip_index import bare_name
from tasks.datasets.layout import (
    RATED_AROUSAL,
    RATED_DOMINANCE,
    RATED_VALENCE,
    DatasetClip,
    dimensions,
    one_of,
)
from tasks.datasets.tree import TableRow, Tree
from tasks.labels.splits import TEST, TRAIN, VALID

_CLASSES = {
    "A": "Anger",
    "C": "Contempt",
    "D": "Disgust",
    "F": "Fear",
    "H": "Happiness",
    "N": "Neutral",
    "S": "Sadness",
    "U": "Surprise",
    "O": "Other",
}
_NO_AGREEMENT = "X"
_SPLITS = {"Train": TRAIN, "Development": VALID, "Validation": VALID}
"""Early releases, as 1.8, say Validation."""

_TABLES = ("labels_consensus.csv", "labels_concensus.csv")
"""The second is how these releases spell it."""

MSP_TARGETS = (RATED_AROUSAL, RATED_DOMINANCE, RATED_VALENCE, *_CLASSES.values())


def read_msp_podcast(tree: Tree, test: str = "Test1") -> Iterator[DatasetClip]:
    """Yield the segments of ``labels_consensus.csv``, in early releases ``labels_concensus.csv``.

    Dimensions are means of ratings from 1 to 7, brought to 0 to 1. A class is 1 where the raters
    agreed on it and 0 for every other; where they did not agree it is missing.

    Args:
        tree: the folder.
        test: the set that becomes the split ``test``; the others of this kind are left out.

    Raises:
        LabelError: the table is missing, or holds a value that the layout does not have.
    """
    splits = _SPLITS | {test: TEST}
    columns = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Split_Set")
    left_out: Counter[str] = Counter()
    patterns = [f"{place}{name}" for place in ("Labels/", "", "*/") for name in _TABLES]
    for row in tree.table(*patterns, columns=columns):
        part = row.text("Split_Set")
        if part not in splits:
            left_out[part] += 1
            continue
        speaker = row.text("SpkrID")
        yield DatasetClip(
            bare_name(row.text("FileName")),
            _values(tree, row),
            speaker="" if speaker == "Unknown" else speaker,
            split=splits[part],
        )
    tree.notes += [
        f"left out {count} segments of {part}: the split test is {test}"
        for part, count in sorted(left_out.items())
    ]


def _values(tree: Tree, row: TableRow) -> dict[str, float | None]:
    code = row.text("EmoClass")
    if code not in {*_CLASSES, _NO_AGREEMENT}:
        raise tree.refused(f"{row.place}: EmoClass is {code!r}, not one of {', '.join(_CLASSES)}")
    agreed = code != _NO_AGREEMENT
    classes = one_of(_CLASSES.values(), _CLASSES[code]) if agreed else {}
    return classes | dimensions(
        arousal=row.scaled("EmoAct", 1, 7),
        dominance=row.scaled("EmoDom", 1, 7),
        valence=row.scaled("EmoVal", 1, 7),
    )
