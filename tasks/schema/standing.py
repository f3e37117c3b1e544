"""The schemas of facts about clips: which are gone, which were forgotten, which scores count."""

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

FORGOTTEN_SCHEMA = pa.schema(
    [
        required("forgetting_id", TEXT, "", "id of the forgetting; it sorts by time"),
        required("begun_at", TIME, "UTC", "when it began"),
        required("finished_at", TIME, "UTC", "when all of it was removed"),
        required("num_clips", pa.int64(), "clips", "clips that were forgotten"),
        required(
            "num_rows", pa.map_(TEXT, pa.int64()), "rows", "rows of this store, by their table"
        ),
        required("num_texts", pa.int64(), "files", "logs and reports from which names were taken"),
        required("num_cached", pa.int64(), "files", "cached audio and features that were removed"),
        described(
            "num_models",
            pa.int64(),
            "",
            "registered versions that were trained on such a clip; null: the registry did not say",
        ),
    ]
)
"""One row a forgetting; it holds no name, and nothing from which a name could be found."""
