"""Which row of a label file belongs to which clip of a corpus."""

from __future__ import annotations

import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tasks.corpus.passed_over import MEDIA_SUFFIXES
from tasks.labels.label_file import ClipLabels, LabelFile, Problem
from tasks.storage.open import is_remote, local_path

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


def match_labels(file: LabelFile, clip_ids: Sequence[str], corpus: str = "") -> Matched:
    """Bring label rows and clips together: by the whole path, else by the bare name.

    A path with the suffix of a video or of sound also fits the one clip of another suffix, and so
    does one without a suffix. A bare name, with the suffix or without, must be that of one clip
    alone. Letters with accents match however they are composed (Unicode NFC or NFD); ``./`` and
    the way to the corpus do not count.

    Args:
        file: Its rows.
        clip_ids: The clips of the corpus.
        corpus: Where it lies, for absolute paths.
    """
    clips = ClipNames(clip_ids, corpus)
    labels: dict[str, ClipLabels] = {}
    problems = []
    for row in file.rows:
        found = clips.named(row.filename)
        if len(found) != 1:
            problems.append(Problem(row.line, _no_clip(row.filename, found, clips.root)))
        elif found[0] in labels:
            earlier = f"{file.counted_in} {labels[found[0]].line}"
            text = f"{row.filename!r} is the clip {found[0]} again, as in {earlier}"
            problems.append(Problem(row.line, text))
        else:
            labels[found[0]] = row
    without = tuple(clip_id for clip_id in clip_ids if clip_id not in labels)
    return Matched(labels, tuple(problems), without)


class ClipNames:
    """The clips of a corpus by every name that a label file may give them.

    Attributes:
        root: The absolute path, or the reference, of the corpus with a slash; empty if unknown.
    """

    def __init__(self, clip_ids: Sequence[str], corpus: str = "") -> None:
        """Take the clips, and where they lie, for absolute paths."""
        self._whole = set(clip_ids)
        self._composed = _by(clip_ids, lambda clip_id: [clip_id])
        self._without_suffix = _by(clip_ids, lambda clip_id: [_without_suffix(clip_id)])
        self._bare = _by(clip_ids, _bare_names)
        root = corpus if is_remote(corpus) else _plain(str(Path(local_path(corpus)).absolute()))
        self.root = unicodedata.normalize("NFC", root.rstrip("/") + "/") if corpus else ""

    def named(self, filename: str) -> list[str]:
        """Return the clips of a name: none, one, or several that it fits."""
        if filename in self._whole:
            return [filename]
        name = unicodedata.normalize("NFC", filename)
        path = self._below_root(name)
        found = self._composed.get(name) or self._composed.get(path) or self._bare.get(path)
        if found:
            return found
        spelled = PurePosixPath(path)
        if spelled.suffix.lower().removeprefix(".") not in MEDIA_SUFFIXES:
            return self._without_suffix.get(path, [])
        # the label file may name the video of which the corpus holds the sound, or features
        stem = str(spelled.with_suffix(""))
        return self._without_suffix.get(stem) or self._bare.get(stem, [])

    def _below_root(self, name: str) -> str:
        """Return a path as a clip id would be spelled, if it leads into the corpus."""
        if "\\" in name and "/" not in name:  # written on Windows
            name = name.replace("\\", "/")
        path = name if is_remote(name) else _plain(name)
        if self.root and path.startswith(self.root):
            return _plain(path.removeprefix(self.root))
        return path


def _plain(path: str) -> str:
    """Return a path without ``./``, ``..`` and double slashes."""
    return posixpath.normpath(path)


def _bare_names(clip_id: str) -> set[str]:
    """Return a clip's name without folders, with its suffix and without."""
    path = PurePosixPath(clip_id)
    return {path.name, path.stem}


def _without_suffix(clip_id: str) -> str:
    return str(PurePosixPath(clip_id).with_suffix(""))


def _by(clip_ids: Iterable[str], names: Callable[[str], Iterable[str]]) -> dict[str, list[str]]:
    """Return clips by their names, composed as in NFC."""
    found = defaultdict(list)
    for clip_id in clip_ids:
        for name in names(unicodedata.normalize("NFC", clip_id)):
            found[name].append(clip_id)
    return dict(found)


def _no_clip(filename: str, found: Sequence[str], root: str) -> str:
    if not found:
        where = f" {root.rstrip('/')}" if PurePosixPath(filename).is_absolute() else ""
        return f"no clip {filename!r} in the corpus{where}"
    named = ", ".join(sorted(found)[:_MAX_NAMED])
    more = f" and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else ""
    return f"{filename!r} may be {named}{more}: write the whole path"
