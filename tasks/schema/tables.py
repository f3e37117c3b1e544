"""The names of the tables of a results store."""

from __future__ import annotations

from collections.abc import Mapping

SCORES, TIMELINE, WINDOWS, RUNS = "scores", "timeline", "windows", "runs"

ATTRIBUTIONS = "attributions"
"""Where the scores come from; its schema stands in `tasks.schema.attributions`."""

TRANSCRIPTS = "transcripts"
"""What is said in the clips; its schema stands in `tasks.schema.transcripts`."""

LABELS, EVALUATIONS, DECISIONS, ABLATIONS = "labels", "evaluations", "decisions", "ablations"

COMPARISONS, COMPARED_CLIPS = "comparisons", "compared_clips"
"""Systems on the same clips; schemas in `tasks.schema.comparisons`."""

EXPLANATIONS = "explanations"
"""Sentences about clips; its schema stands in `tasks.schema.explanations`."""

CLIP_METADATA, SPEAKER_METADATA = "clip_metadata", "speaker_metadata"
"""What a study knows of its clips and speakers; schemas in `tasks.schema.metadata`."""

FORGOTTEN = "forgotten"
"""That something was forgotten; its schema stands in `tasks.schema.standing`."""

MISSING_CLIPS, CURRENT_MODEL = "missing_clips", "current_model"
"""Facts about the clips: small files that runs replace; schemas in `tasks.schema.standing`."""

COMPANIONS = (TIMELINE, WINDOWS, ATTRIBUTIONS)
"""Tables whose rows belong to a row of scores."""

LEADING: Mapping[str, tuple[str, ...]] = {TRANSCRIPTS: (), SCORES: COMPANIONS}
"""Tables of clips' rows, in the order in which a part's are written, each with its companions.

Scores come last: their row says that a clip is done, so its transcript must be there by then."""

REGISTERS = (
    *(LABELS, EVALUATIONS, DECISIONS, ABLATIONS, COMPARISONS, COMPARED_CLIPS),
    *(EXPLANATIONS, CLIP_METADATA, SPEAKER_METADATA, FORGOTTEN),
)
"""Tables of small files that only forgetting changes; schemas stand in `tasks.schema.registers`."""

TABLES = (SCORES, *COMPANIONS, TRANSCRIPTS, RUNS, MISSING_CLIPS, CURRENT_MODEL, *REGISTERS)
