"""MER2023 and MER2024: Chinese films and series, six emotions and valence."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.datasets.clip_index import bare_name
from tasks.datasets.layout import RATED_VALENCE, DatasetClip, one_of
from tasks.datasets.tree import TableRow, Tree
from tasks.labels.splits import TEST

_EMOTIONS = {
    "neutral": "Neutral",
    "angry": "Anger",
    "happy": "Happiness",
    "sad": "Sadness",
    "worried": "Worry",
    "surprise": "Surprise",
}
MER_TARGETS = (*_EMOTIONS.values(), RATED_VALENCE)
_LOW, _HIGH = -5, 5
_COLUMNS = ("name", "discrete")


def read_mer2023(tree: Tree) -> Iterator[DatasetClip]:
    """Yield the clips of ``train-label.csv``, and of the test sets whose labels are there.

    Valence goes from -5 to 5 and is brought to 0 to 1; test3 has none. The organisers train and
    validate within ``train``, by folds: its clips get a drawn split.

    Raises:
        LabelError: ``train-label.csv`` is missing, or a table holds another emotion.
    """
    for row in tree.table("train-label.csv", "*/train-label.csv", columns=_COLUMNS):
        yield _labelled(tree, row, "", ("train",))
    for part in ("test1", "test2", "test3"):
        name = f"{part}-label.csv"
        found = tree.find(name, f"*/{name}")
        if not found:
            tree.notes.append(f"no {name}: the clips of {part} have no labels here")
        for path in found[:1]:
            for row in tree.table_at(path, _COLUMNS):
                yield _labelled(tree, row, TEST, (part,))


def read_mer2024(tree: Tree) -> Iterator[DatasetClip]:
    """Yield the clips of ``label-disdim.csv``, which lie in ``video-labeled``; splits are drawn.

    Raises:
        LabelError: the table is missing, or holds another emotion.
    """
    for row in tree.table("label-disdim.csv", "*/label-disdim.csv", columns=_COLUMNS):
        yield _labelled(tree, row, "", ("video-labeled", "audio-labeled"))


def _labelled(tree: Tree, row: TableRow, split: str, within: tuple[str, ...]) -> DatasetClip:
    emotion = row.text("discrete").lower()
    if emotion not in _EMOTIONS:
        words = f"{row.place}: discrete is {emotion!r}, not one of {', '.join(_EMOTIONS)}"
        raise tree.refused(words)
    valence = row.scaled("valence", _LOW, _HIGH) if "valence" in row.cells else None
    values = one_of(_EMOTIONS.values(), _EMOTIONS[emotion])
    return DatasetClip(
        bare_name(row.text("name")),
        values | {RATED_VALENCE: valence, "valence": valence},
        split=split,
        within=within,
    )
