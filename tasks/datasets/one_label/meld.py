"""MELD: utterances of the series Friends, in dialogues."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.datasets.layout import DatasetClip, one_of
from tasks.datasets.tree import Tree
from tasks.labels.splits import TEST, TRAIN, VALID

_EMOTIONS = {
    "anger": "Anger",
    "disgust": "Disgust",
    "fear": "Fear",
    "joy": "Happiness",
    "neutral": "Neutral",
    "sadness": "Sadness",
    "surprise": "Surprise",
}
MELD_TARGETS = tuple(_EMOTIONS.values())
_PARTS = (
    (TRAIN, "train", ("train_splits", "train")),
    (VALID, "dev", ("dev_splits_complete", "dev")),
    (TEST, "test", ("output_repeated_splits_test", "test")),
)
_CORRECTED = "final_videos_test"
"""Before the name of a test clip that was cut once more: the file without it has other speech."""


def read_meld(tree: Tree) -> Iterator[DatasetClip]:
    """Yield the utterances of the three tables, the emotion 1 and each other 0.

    The main characters speak in all three official splits. Of a test clip that was cut once more,
    the corrected file counts.

    Raises:
        LabelError: a table is missing, or holds another emotion.
    """
    columns, num_corrected = ("Speaker", "Emotion", "Dialogue_ID", "Utterance_ID"), 0
    for split, part, folders in _PARTS:
        name = f"{part}_sent_emo.csv"
        for row in tree.table(name, f"*/{name}", columns=columns):
            emotion = row.text("Emotion").lower()
            if emotion not in _EMOTIONS:
                words = f"{row.place}: Emotion is {emotion!r}, not one of {', '.join(_EMOTIONS)}"
                raise tree.refused(words)
            clip = f"dia{row.text('Dialogue_ID')}_utt{row.text('Utterance_ID')}"
            if split == TEST and tree.clips.find(_CORRECTED + clip, folders) is not None:
                clip = _CORRECTED + clip
                num_corrected += 1
            yield DatasetClip(
                clip,
                one_of(MELD_TARGETS, _EMOTIONS[emotion]),
                speaker=row.text("Speaker"),
                split=split,
                within=folders,
            )
    if num_corrected:
        files = f"the corrected file ({_CORRECTED}...)"
        tree.notes.append(f"of {num_corrected} test clips {files} counts")
