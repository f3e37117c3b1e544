"""Aff-Wild2: films of the web, valence and arousal for every frame (ABAW's VA challenge)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tasks.datasets.layout import DatasetClip, dimensions
from tasks.datasets.over_time.seconds import (
    Labels,
    number_or_none,
    on_scale,
    per_second,
    until,
    windows,
)
from tasks.datasets.tree import Tree
from tasks.labels.splits import TRAIN, VALID
from tasks.storage.table_file import read_text_file

_FOLDER = "VA_Estimation_Challenge"
_PARTS = ((TRAIN, "Train_Set"), (VALID, "Validation_Set"))
_ONE_OF_TWO = ("_left", "_right")
"""How the labels of one of two people in a film are called."""


def read_aff_wild2(tree: Tree) -> Iterator[DatasetClip]:
    """Yield windows of the films that ``VIDEO.txt`` labels, a line a frame.

    Labels go from -1 to 1, -5 where there is none, and are brought to 0 to 1. The films give the
    frames a second; what is labelled beyond their end is left out. Films of two people are left
    out, as nothing in sound or picture says which of them a label is about: both ``_left`` and
    ``_right``, and also ``VIDEO.txt`` where one of these stands beside it for the other person.

    Raises:
        LabelError: the folder is missing, or a line is not two numbers.
    """
    found = [
        (split, path)
        for split, part in _PARTS
        for path in tree.paths(f"{_FOLDER}/{part}/*.txt", f"*/{_FOLDER}/{part}/*.txt",
                               f"*/*/{_FOLDER}/{part}/*.txt")
    ]  # fmt: skip
    of_two = {_film(path) for _, path in found if _film(path) != path.stem}
    kept = [(split, path) for split, path in found if _film(path) not in of_two]
    for split, path in kept:
        yield from _windows(tree, path, split)
    num_of_two = len(found) - len(kept)
    if num_of_two:
        tree.notes.append(f"left out {num_of_two} files with labels of one of two people in a film")


def _film(path: Path) -> str:
    """Return the name of a film, without the side of one of two people in it."""
    side = next((side for side in _ONE_OF_TWO if path.stem.endswith(side)), "")
    return path.stem.removesuffix(side)


def _windows(tree: Tree, path: Path, split: str) -> Iterator[DatasetClip]:
    facts = tree.facts(path.stem)
    if facts is None:
        yield DatasetClip(path.stem, {}, split=split)  # it stands for windows that are missing
        return
    rate = facts.frames_per_second or tree.frame_rate
    if rate is None:
        words = f"nothing says how many frames a second {path.stem} has: add --frame-rate 30"
        raise tree.refused(words)
    values = on_scale(_read(tree, path), -1, 1)
    times = np.arange(len(values)) / rate
    kept = until(times, facts.seconds)
    for window in windows(per_second(times[kept], values[kept], rate), tree.window_seconds):
        valence, arousal = map(number_or_none, window.values)
        yield DatasetClip(
            path.stem,
            dimensions(arousal=arousal, valence=valence),
            speaker=path.stem,
            split=split,
            seconds=(window.start, window.end),
        )


def _read(tree: Tree, path: Path) -> Labels:
    """Return (frames, 2) valence and arousal, as they stand in a file below its header."""
    try:
        lines = read_text_file(str(path)).splitlines()[1:]
    except ValueError as error:
        raise tree.refused(f"cannot read {path.name}: {error}") from error
    found = []
    for number, line in enumerate(lines, start=2):
        try:
            valence, arousal = map(float, line.split(","))
        except ValueError as error:
            words = f"{path.name} line {number} is {line!r}, expected VALENCE,AROUSAL"
            raise tree.refused(words) from error
        found.append((valence, arousal))
    return np.array(found).reshape(-1, 2)
