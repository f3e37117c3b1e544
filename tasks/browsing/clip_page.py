"""What a clip's page shows, made of what the store holds of the clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from emi_model.targets import VAD_DIMENSIONS
from tasks.browsing.clip_record import ClipRecord
from tasks.browsing.list_state import (
    NAMED_CLIP,
    NAMED_COVERAGE,
    NAMED_MODEL,
    NAMED_PLACE,
    ListState,
)
from tasks.browsing.media import Playable
from tasks.browsing.reasons import flag_words, is_tried_again, reason_words, retry_command
from tasks.schema.scores import scores_schema, target_columns

MAX_WORDS = 5000
"""Of a transcript that can be clicked."""

_FACTS = (
    ("duration_seconds", "Sound decoded", "s"),
    ("declared_seconds", "Declared length", "s"),
    ("scored_seconds", "Sound scored", "s"),
    ("codec", "Codec", ""),
    ("sampling_rate", "Sampling rate", "Hz"),
    ("channels", "Channels", ""),
    ("rms_dbfs", "Mean level", "dBFS"),
    ("peak_dbfs", "Highest level", "dBFS"),
    ("silent_fraction", "Silent share", ""),
    ("modalities", "Inputs it had", ""),
    ("face_share", "Pictures with a face", ""),
    ("training_split", "Used in training", ""),
    ("model", "Model", ""),
    ("model_sha256", "Model's hash", ""),
    ("backbone_licence", "Licence of its weights", ""),
    ("run_id", "Run", ""),
    ("scored_at", "Made", ""),
    ("missing_since", "File gone since", ""),
    ("uri", "File", ""),
    ("content_sha256", "File's hash", ""),
)


@dataclass(frozen=True)
class ScoreRow:
    """One score of a clip, label and models side by side.

    Attributes:
        name: its column.
        label: what raters gave.
        values: score, lower and upper end of its interval, of each model.
    """

    name: str
    label: float | None
    values: Sequence[tuple[float | None, float | None, float | None]]


def clip_address(state: ListState, row: Mapping[str, Any], place: int | None = None) -> str:
    """Return the address of a clip's page, which also holds the list that it was found in.

    Args:
        state: of the list.
        row: with the clip's id, model's hash and coverage.
        place: of the clip in the list, counted from 0; None: it was not found there.
    """
    own = [
        (NAMED_CLIP, row["clip_id"]),
        (NAMED_MODEL, row["model_sha256"]),
        (NAMED_COVERAGE, row["coverage"]),
    ]
    if place is not None:
        own.append((NAMED_PLACE, str(place)))
    return f"/clip?{urlencode([*own, *state.at_page(1).pairs()], errors='backslashreplace')}"


def clip_values(
    record: ClipRecord, playable: Playable, state: ListState, place: int | None, location: str
) -> dict[str, Any]:
    """Return what the template of a clip's page is filled with.

    Args:
        record: of the clip.
        playable: its file.
        state: of the list that it was found in.
        place: in that list.
        location: of the store.
    """
    row = record.row
    rejected = row["status"] == "rejected"
    media = clip_address(ListState(), row).replace("/clip?", "/media?")
    return {
        "row": row,
        "playable": playable,
        "media": media,
        "models": [
            {
                "name": f"{one['model']} {one['model_sha256'][:8]}",
                "coverage": one["coverage"],
                "is_current": one["is_current"],
                "is_shown": one is row,
                "address": clip_address(state, one, place),
            }
            for one in record.rows
        ],
        "scores": score_rows(record),
        "facts": [(t, row[name], unit) for name, t, unit in _FACTS if row.get(name) is not None],
        "flags": [(flag, flag_words(flag)) for flag in row["flags"] or ()],
        "reason": reason_words(row["reason"]) if rejected and row["reason"] else None,
        "tried_again": rejected and is_tried_again(row["reason"] or ""),
        "retry": retry_command(row, location) if rejected else None,
        "transcript": record.transcript,
        "words": list(_words(record)),
        "windows": record.windows,
        "explanations": [one for one in record.explanations if one["text"]],
        "label": record.label,
        "data": {
            "media": media if playable.path is not None else None,
            "bytes": playable.size,
            "seconds": [one["second"] for one in record.timeline],
            "vad": {name: [one[name] for one in record.timeline] for name in VAD_DIMENSIONS},
        },
    }


def score_rows(record: ClipRecord) -> list[ScoreRow]:
    """Return a clip's scores, one below the other: those that any model or rater gave."""
    names = dict.fromkeys(name for row in record.rows for name in row)
    scores = (*target_columns(list(names), scores_schema(())), *VAD_DIMENSIONS)
    label = record.label or {}
    found = []
    for name in dict.fromkeys(scores):
        if name in ("is_current", "missing_since"):
            continue
        values = [
            (one.get(name), one.get(f"{name}_low"), one.get(f"{name}_high")) for one in record.rows
        ]
        if label.get(name) is not None or any(value[0] is not None for value in values):
            found.append(ScoreRow(name, label.get(name), values))
    return found


def _words(record: ClipRecord) -> Iterable[tuple[float, str, bool]]:
    """Yield words of a transcript: the second of each, its text, whether it begins a stretch.

    A stretch of speech has a beginning and an end; its words are laid into it by their letters.
    """
    transcript = record.transcript or {}
    offset, left = transcript.get("audio_start_seconds") or 0.0, MAX_WORDS
    for segment in transcript.get("segments") or ():
        words = (segment["text"] or "").split()[:left]
        left -= len(words)
        letters = sum(len(word) + 1 for word in words)
        at = offset + segment["start_seconds"]
        length = max(0.0, segment["end_seconds"] - segment["start_seconds"])
        for place, word in enumerate(words):
            yield at, word, place == 0
            at += length * (len(word) + 1) / letters
