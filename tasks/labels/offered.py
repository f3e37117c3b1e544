"""A label file beside its corpus: what it offers, before a store is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from emi_model.devices import available_cores
from emi_model.errors import ConfigError
from tasks.corpus.clips import ClipFile, hash_clip
from tasks.corpus.listing import list_clips
from tasks.corpus.objects import READERS
from tasks.labels.label_file import ClipLabels, LabelFile, Problem, read_label_file
from tasks.labels.label_values import speaker_name
from tasks.labels.matching import match_labels
from tasks.threads import Progress, map_in_threads

SPEAKER_FIELD = "{speaker}"
NO_SPEAKER = (
    "{count} clips name no speaker: one voice may train a model and also evaluate it; add a column "
    "speaker, or take it from the path: --speaker-from '{{speaker}}' is its first folder"
)


@dataclass(frozen=True)
class Reading:
    """How a label file is read.

    Attributes:
        targets: columns that are targets; default all that are nothing else.
        ignore: columns to leave out.
        scale: the number that stands for 1.
        speaker_from: where a clip's path has its speaker, for rows that name none: the beginning of
            the path, with ``{speaker}`` in it and ``*`` for any other characters but ``/``.
    """

    targets: Sequence[str] = ()
    ignore: Sequence[str] = ()
    scale: float = 1.0
    speaker_from: str | None = None
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the scale and the pattern."""
        if not self.scale > 0:
            raise ConfigError(f"scale is {self.scale}, expected more than 0")
        pattern = None if self.speaker_from is None else _compiled(self.speaker_from)
        object.__setattr__(self, "_pattern", pattern)

    def speaker_of(self, clip_id: str) -> str | None:
        """Return the speaker that a path names; None where there is no pattern, or it differs."""
        found = self._pattern.match(clip_id) if self._pattern is not None else None
        return speaker_name(found["speaker"]) if found else None


class Offered(NamedTuple):
    """A label file beside its corpus.

    Attributes:
        file: as it was read.
        labels: by clip id.
        contents: hash of every labelled clip; None for what cannot be read.
        problems: of the file and of the comparison.
        clip_ids: all clips of the corpus.
    """

    file: LabelFile
    labels: Mapping[str, ClipLabels]
    contents: Mapping[str, str | None]
    problems: list[Problem]
    clip_ids: Sequence[str]


def read_offered(
    path: str | Path, corpus: str, reading: Reading, on_progress: Progress | None
) -> Offered:
    """Return what a label file says of the clips of a corpus, and all that is wrong with it.

    Raises:
        LabelError: the file cannot be read at all.
        CorpusError: no such corpus.
    """
    file = read_label_file(path, reading.targets, scale=reading.scale, ignore=reading.ignore)
    clips = {clip.clip_id: clip for clip in list_clips(corpus)}
    matched = match_labels(file, list(clips), corpus)
    contents = _hashed([clips[clip_id] for clip_id in matched.labels], on_progress)
    labels, problems = _with_speakers(matched.labels, reading)
    problems += [*file.problems, *matched.problems]
    problems += [
        Problem(labels[clip_id].line, f"{clip_id} cannot be read")
        for clip_id, content in contents.items()
        if content is None
    ]
    return Offered(file, labels, contents, problems, list(clips))


def _hashed(clips: Sequence[ClipFile], on_progress: Progress | None) -> dict[str, str | None]:
    contents = map_in_threads(
        clips,
        lambda: nullcontext(hash_clip),
        threads=READERS if any(clip.is_remote for clip in clips) else available_cores(),
        on_progress=on_progress,
    )
    return dict(zip((clip.clip_id for clip in clips), contents, strict=True))


def _with_speakers(
    labels: Mapping[str, ClipLabels], reading: Reading
) -> tuple[dict[str, ClipLabels], list[Problem]]:
    """Return the labels with speakers from the paths, and the paths that name none."""
    found, problems = dict(labels), []
    for clip_id, row in labels.items():
        if row.speaker or reading.speaker_from is None:
            continue
        speaker = reading.speaker_of(clip_id)
        if speaker is None:
            text = f"{clip_id} does not begin as {reading.speaker_from!r} (--speaker-from)"
            problems.append(Problem(row.line, text))
        else:
            found[clip_id] = replace(row, speaker=speaker)
    return found, problems


def _compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern of paths as a regular expression; what follows a whole folder is free."""
    if pattern.count(SPEAKER_FIELD) != 1:
        raise ConfigError(
            f"found no speaker in {pattern!r}, expected one {SPEAKER_FIELD}, as in "
            f"'{SPEAKER_FIELD}/*' or 'session*/{SPEAKER_FIELD}_*'"
        )
    parts = re.split(r"(\{speaker\}|\*)", pattern.strip("/"))
    named = {SPEAKER_FIELD: r"(?P<speaker>[^/]+?)", "*": r"[^/]*"}
    return re.compile("".join(named.get(part, re.escape(part)) for part in parts) + r"(?:/.*)?\Z")


def speaker_notes(speakers: Iterable[str]) -> list[str]:
    """Return a warning where clips name no speaker."""
    count = sum(not speaker for speaker in speakers)
    return [NO_SPEAKER.format(count=count)] if count else []
