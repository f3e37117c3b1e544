"""RAVDESS: two sentences, spoken and sung by 24 actors in eight emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.datasets.clip_index import bare_name
from tasks.datasets.layout import DatasetClip, one_of
from tasks.datasets.tree import Tree

RAVDESS_TARGETS = (
    "Neutral",
    "Calm",
    "Happiness",
    "Sadness",
    "Anger",
    "Fear",
    "Disgust",
    "Surprise",
)
"""In the order of the file names' codes, from 01."""

_CODE = re.compile(r"0[1-3]-(0[12]-0[1-8]-0[12]-0[12]-0[12]-(\d\d))")
_SOUND_FIRST = {"01": 0, "03": 1, "02": 2}
"""Of one performance: film with sound, else the sound, else the film without."""


def read_ravdess(tree: Tree) -> Iterator[DatasetClip]:
    """Yield each performance once, its emotion from the file's name: 1, and 0 for each other.

    The name's codes are: film or sound, speech or song, emotion, intensity, sentence, repetition,
    actor. The emotion is the one that was asked of the actor, at either intensity.

    Raises:
        LabelError: no file has such a name.
    """
    found: dict[str, list[str]] = {}
    for name in map(bare_name, tree.clips.clip_ids):
        code = _CODE.fullmatch(name)
        if code is not None:
            found.setdefault(code[1], []).append(name)
    if not found:
        raise tree.refused("no file named as 03-01-06-01-02-01-12.wav")
    num_left_out = sum(map(len, found.values())) - len(found)
    if num_left_out:
        tree.notes.append(f"left out {num_left_out} files: the same performances as film and sound")
    for performance, names in found.items():
        name = min(names, key=lambda one: _SOUND_FIRST[one[:2]])
        _, emotion, *_, actor = performance.split("-")
        target = RAVDESS_TARGETS[int(emotion) - 1]
        yield DatasetClip(name, one_of(RAVDESS_TARGETS, target), speaker=f"Actor_{actor}")
