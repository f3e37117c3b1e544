"""Which row of a label file belongs to which clip of a corpus."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tasks.corpus.passed_over import MEDIA_SUFFIXES
from tasks.labels.label_file import ClipLabels, LabelFile, Problem

_MAX_NAMED = 3


@dataclass(frozen=True)
class Matched:
    """Label rows and clips of a corpus, brought together.

    Attributes:
        labels: By ``clip_id``, in the order of the label file.
        problems: Rows without a clip, with more than one, or with the clip of an earlier row.
        without_labels: Ids of the clips that the label file does not know.
    """

    labels: Mapping[str, ClipLabels]
    problems: tuple[Problem, ...]
    without_labels: tuple[str, ...]


def match_labels(file: LabelFile, clip_ids: Sequence[str]) -> Matched:
    """Bring label rows and clips together: by the whole path, else by the bare name.

    A bare name, with the suffix or without, must be that of one clip alone.

    Args:
        file: Its rows.
        clip_ids: The clips of the corpus.
    """
    whole, bare = set(clip_ids), _by_bare_name(clip_ids)
    labels: dict[str, ClipLabels] = {}
    problems = []
    for row in file.rows:
        found = [row.filename] if row.filename in whole else _named(row.filename, bare)
        if len(found) != 1:
            problems.append(Problem(row.line, _no_clip(row.filename, found)))
        elif found[0] in labels:
            earlier = f"{file.counted_in} {labels[found[0]].line}"
            text = f"{row.filename!r} is the clip {found[0]} again, as in {earlier}"
            problems.append(Problem(row.line, text))
        else:
            labels[found[0]] = row
    without = tuple(clip_id for clip_id in clip_ids if clip_id not in labels)
    return Matched(labels, tuple(problems), without)


def _by_bare_name(clip_ids: Iterable[str]) -> Mapping[str, list[str]]:
    """Return the clips by their name without folders, and by that name without its suffix."""
    bare = defaultdict(list)
    for clip_id in clip_ids:
        path = PurePosixPath(clip_id)
        for name in {path.name, path.stem}:
            bare[name].append(clip_id)
    return bare


def _named(filename: str, bare: Mapping[str, list[str]]) -> list[str]:
    path = PurePosixPath(filename)
    if found := bare.get(filename):
        return found
    is_media = path.suffix.lower().removeprefix(".") in MEDIA_SUFFIXES
    # the label file may name the video of which the corpus holds the sound
    return bare.get(path.stem, []) if is_media and path.name == filename else []


def _no_clip(filename: str, found: Sequence[str]) -> str:
    if not found:
        return f"no clip {filename!r} in the corpus"
    named = ", ".join(sorted(found)[:_MAX_NAMED])
    more = f" and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else ""
    return f"{filename!r} may be {named}{more}: write the whole path"
