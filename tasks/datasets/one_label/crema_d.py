"""CREMA-D: twelve sentences, spoken by 91 actors in six emotions, rated by many."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.datasets.clip_index import bare_name
from tasks.datasets.layout import DatasetClip, one_of
from tasks.datasets.tree import TableRow, Tree

_VOTES = {
    "A": "Anger",
    "D": "Disgust",
    "F": "Fear",
    "H": "Happiness",
    "N": "Neutral",
    "S": "Sadness",
}
CREMA_TARGETS = tuple(_VOTES.values())
_ACTED = dict(zip(("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"), CREMA_TARGETS, strict=True))
_CODE = re.compile(rf"(\d{{4}})_[A-Z]{{3}}_({'|'.join(_ACTED)})_(?:LO|MD|HI|XX?)")
_MISNAMED = {"1040_ITH_SAD_XX": "1040_ITH_SAD_X"}
"""One sound file lacks the last letter of the name that the table has."""
_VOICE_ALONE, _VOICE_AND_FACE = "1", "3"
_OF_SOUND = (".wav", ".mp3")


def read_crema_d(tree: Tree) -> Iterator[DatasetClip]:
    """Yield each clip with the share of its raters who heard each emotion.

    ``tabulatedVotes.csv`` counts the votes three times: of raters who heard the voice (rows from
    100001), saw the face (200001), or both (300001). Those who heard the voice count where the
    media are sound, those who had both where they are film.

    Raises:
        LabelError: the table is missing, or a row of it has no votes.
    """
    has_sound = any(one.lower().endswith(_OF_SOUND) for one in tree.clips.clip_ids)
    mode = _VOICE_ALONE if has_sound else _VOICE_AND_FACE
    heard = "heard the voice alone" if has_sound else "heard the voice and saw the face"
    tree.notes.append(f"the labels are shares of the raters who {heard}")
    columns = ("fileName", "numResponses", *_VOTES)
    for row in tree.table("processedResults/tabulatedVotes.csv", "tabulatedVotes.csv",
                          "*/tabulatedVotes.csv", columns=columns):  # fmt: skip
        if next(iter(row.cells.values())).strip().startswith(mode):
            yield _voted(tree, row)


def read_acted_crema_d(tree: Tree) -> Iterator[DatasetClip]:
    """Yield each clip with the emotion that was asked of the actor: 1, and 0 for each other.

    Raises:
        LabelError: no file has a name as 1001_DFA_ANG_XX.
    """
    names = dict.fromkeys(_name_of_file(tree, bare_name(one)) for one in tree.clips.clip_ids)
    codes = [code for code in map(_CODE.fullmatch, names) if code is not None]
    if not codes:
        raise tree.refused("no file named as 1001_DFA_ANG_XX.wav")
    for code in codes:
        yield DatasetClip(code[0], one_of(CREMA_TARGETS, _ACTED[code[2]]), speaker=code[1])


def _name_of_file(tree: Tree, name: str) -> str:
    """Return a clip's name as its file has it."""
    spelled = _MISNAMED.get(name, name)
    return name if tree.clips.find(spelled) is None else spelled


def _voted(tree: Tree, row: TableRow) -> DatasetClip:
    votes = {target: row.number(letter) or 0 for letter, target in _VOTES.items()}
    num_raters = int(sum(votes.values()))
    name = _name_of_file(tree, row.text("fileName"))
    if num_raters < 1:
        raise tree.refused(f"{row.place}: nobody voted on {name}")
    values = {target: count / num_raters for target, count in votes.items()}
    return DatasetClip(name, values, speaker=name.partition("_")[0], num_raters=num_raters)
