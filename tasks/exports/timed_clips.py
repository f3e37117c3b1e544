"""What an export over time needs of a clip: its seconds and what was said, in one row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from emi_model.targets import VAD_DIMENSIONS
from tasks.exports.clip_names import clashes, file_stem, note_clashes
from tasks.exports.selection import CHOSEN, Selection

FRAME_SECONDS = 0.02
SHORTEST_STRETCH_SECONDS = 0.001
"""Of a stretch of speech: the formats count in milliseconds."""

_ROWS = f"""
WITH clips AS (FROM {CHOSEN} WHERE {{slice}}),
seconds AS (
    SELECT clip_id, list(struct_pack(second, num_frames, {", ".join(VAD_DIMENSIONS)})
        ORDER BY second) AS seconds
    FROM timeline WHERE {{slice}} GROUP BY clip_id
),
words AS (
    SELECT clip_id, segments, language, text IS NOT NULL AS has_text, asr_model,
        coalesce(audio_start_seconds, 0) AS sound_start
    FROM transcripts WHERE {{slice}}
)
SELECT
    clips.clip_id, {clashes("clips.clip_id")} AS clashing, uri, status, model, model_sha256,
    backbone_licence, coalesce(audio_start_seconds, 0) + duration_seconds AS end_seconds,
    seconds.seconds, words.* EXCLUDE (clip_id)
FROM clips LEFT JOIN seconds USING (clip_id) LEFT JOIN words USING (clip_id)
ORDER BY clip_id"""


class Stretch(NamedTuple):
    """A stretch of a recording, in seconds, and what it holds."""

    start: float
    end: float
    text: str


class VadSecond(NamedTuple):
    """Means over the frames that begin in a second; ``start`` and ``end`` in the recording."""

    start: float
    end: float
    arousal: float
    dominance: float
    valence: float


@dataclass(frozen=True)
class TimedClip:
    """A clip with what changes in it.

    Attributes:
        clip_id: its id.
        name: of its files, without a suffix.
        uri: of its media.
        end: seconds: where the recording ends, as far as it was read, or the last stretch.
        seconds: its timeline, in the order of time; empty where it has none.
        said: stretches of speech that do not overlap; empty where nobody speaks.
        language: of the speech; empty where it is not known.
        model: name of the model, and the first digits of its hash.
        licence: of the weights that the model was made from; empty where it is not known.
        asr_model: what turned speech into text; empty without a transcript.
    """

    clip_id: str
    name: str
    uri: str
    end: float
    seconds: tuple[VadSecond, ...]
    said: tuple[Stretch, ...]
    language: str
    model: str
    licence: str
    asr_model: str


def timed_clips(selection: Selection) -> Iterator[TimedClip]:
    """Yield the chosen clips that have a timeline or words; the others are counted as left out."""
    note_clashes(selection)
    for part in selection.slices():
        for batch in selection.batches(_ROWS.format(slice=part)):
            for row in batch.to_pylist():
                if row["seconds"] or row["segments"]:
                    yield _timed(row)
                elif row["status"] == "rejected":
                    selection.leave_out("rejected, so nothing to show over time")
                else:
                    selection.leave_out("no timeline and no words")
            selection.advance(batch.num_rows)


def write_each(selection: Selection, write: Callable[[TimedClip], None]) -> int:
    """Write each of `timed_clips`, and return how many there were."""
    number = 0
    for clip in timed_clips(selection):
        write(clip)
        number += 1
    return number


def _timed(row: dict[str, Any]) -> TimedClip:
    said = _said(row)
    known_end = row["end_seconds"] or 0.0
    seconds = tuple(_second(one, known_end) for one in row["seconds"] or ())
    ends = [*(one.end for one in seconds), *(one.end for one in said)]
    return TimedClip(
        clip_id=row["clip_id"],
        name=file_stem(row["clip_id"], clashing=row["clashing"]),
        uri=row["uri"],
        end=max(known_end, *ends),
        seconds=seconds,
        said=said,
        language=row["language"] or "",
        model=f"{row['model']} {row['model_sha256'][:12]}",
        licence=row["backbone_licence"] or "",
        asr_model=row["asr_model"] or "",
    )


def _second(one: dict[str, Any], clip_end: float) -> VadSecond:
    """Return a second of the timeline; the last ends with the clip, or with its frames."""
    start = float(one["second"])
    is_within = clip_end - start >= FRAME_SECONDS
    own_end = clip_end if is_within else start + max(one["num_frames"], 1) * FRAME_SECONDS
    return VadSecond(start, min(start + 1, own_end), *(one[name] for name in VAD_DIMENSIONS))


def _said(row: dict[str, Any]) -> tuple[Stretch, ...]:
    """Return the stretches of speech in the recording: none without words, none that overlap.

    A transcript counts seconds from where the sound begins.
    """
    if not row["has_text"]:
        return ()
    shift = row["sound_start"]
    found = sorted(
        Stretch(one["start_seconds"] + shift, one["end_seconds"] + shift, one["text"].strip())
        for one in row["segments"] or ()
        if (one["text"] or "").strip()
    )
    starts = [*(one.start for one in found[1:]), float("inf")]
    cut = (one._replace(end=min(one.end, after)) for one, after in zip(found, starts, strict=False))
    return tuple(one for one in cut if one.end - one.start >= SHORTEST_STRETCH_SECONDS)
