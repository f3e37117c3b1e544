"""The schemas of a store's facts about its clips: which are gone, and which scores are current."""

from __future__ import annotations

import pyarrow as pa

from tasks.schema.fields import MODEL_FIELDS, TEXT, TIME, described, required

MISSING_SINCE = described(
    "missing_since",
    TIME,
    "UTC",
    "when a run found that the clip's file is gone; null while it is there",
)

IS_CURRENT = required(
    "is_current",
    pa.bool_(),
    "",
    "whether the row is one of the view without all_: current, and of a clip that is still there",
)

MISSING_SCHEMA = pa.schema(
    [
        required("clip_id", TEXT, "", "path of the clip's file below the corpus folder"),
        required("source", TEXT, "", "folder or bucket in which it was looked for"),
        MISSING_SINCE.with_nullable(False),
    ]
)
"""One row a clip that the last complete listing of its folder did not find."""

CURRENT_SCHEMA = pa.schema(
    [
        *MODEL_FIELDS,
        required("coverage", TEXT, "first|full", "what was scored: the first 12 s, or all windows"),
        required("is_champion", pa.bool_(), "", "whether the model was the registered champion"),
        required("run_id", TEXT, "", "the run that made it current"),
        required("since", TIME, "UTC", "when that run ended"),
    ]
)
"""No row, or one: the model and coverage that the view of scores shows."""
