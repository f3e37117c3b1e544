"""The Arrow schema of the explanations: sentences about a clip, and the evidence behind them."""

from __future__ import annotations

import pyarrow as pa

from tasks.schema.fields import MODEL_FIELDS, TEXT, TIME, described, required
from tasks.schema.outcomes import Reason
from tasks.schema.scores import EXTRACTED

_COUNT = pa.int64()

EXPLANATIONS_SCHEMA = pa.schema(
    [
        required("clip_id", TEXT, "", "the clip as it was named"),
        *(EXTRACTED.field(name) for name in ("uri", "content_sha256")),
        required("status", TEXT, "explained|rejected", "whether the clip could be scored"),
        described("reason", TEXT, "|".join(Reason), "why it was rejected; null if it was not"),
        *(EXTRACTED.field(name) for name in ("detail", "flags")),
        described(
            "text",
            TEXT,
            "",
            "sentences about how the expression is perceived, as a model estimates it; null: "
            "rejected",
        ),
        described("writer", TEXT, "template|language_model", "who wrote the text; null: rejected"),
        required("num_sentences", _COUNT, "sentences", "sentences of the text"),
        required(
            "num_dropped",
            _COUNT,
            "sentences",
            "sentences of the language model that the evidence does not support: not shown",
        ),
        *MODEL_FIELDS,
        required("coverage", TEXT, "first|full", "what was scored: the first 12 s, or all windows"),
        described("asr_model", TEXT, "", "what wrote the words; null: nothing was transcribed"),
        described("asr_key", TEXT, "hex", "hash of all that decides the words"),
        described("language_model", TEXT, "", "language model that was asked; null: none"),
        described("language_model_sha256", TEXT, "hex", "SHA-256 of its config and weights"),
        required("prompt_version", _COUNT, "1..", "of the prompt, the template and the check"),
        described(
            "evidence",
            TEXT,
            "JSON",
            "all that was measured: loudness, pitch and VAD by second, pauses, words, face",
        ),
        required("run_id", TEXT, "", "id of the command that wrote the row; it sorts by time"),
        required("explained_at", TIME, "UTC", "when the row was made"),
    ]
)
"""One row a clip and command."""
