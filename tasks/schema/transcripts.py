"""The Arrow schema of the transcripts: one row a clip and ASR model."""

from __future__ import annotations

import pyarrow as pa

from tasks.schema.fields import DOUBLE, TEXT, TIME, described, required
from tasks.schema.outcomes import Reason
from tasks.schema.scores import EXTRACTED

_COUNT = pa.int64()
_OF_SCORES = ("clip_id", "uri", "content_sha256", "bytes", "modified_ns")

SEGMENT_ITEM = pa.struct(
    [
        described("start_seconds", DOUBLE, "s", "where it begins in the clip's sound"),
        described("end_seconds", DOUBLE, "s", "where it ends"),
        described("text", TEXT, "", "what was said; null where no words are kept"),
        described("no_speech_probability", DOUBLE, "0..1", "the model's, that nobody speaks"),
        described("mean_log_probability", DOUBLE, "nats", "mean over its tokens; -1: a guess"),
    ]
)


def transcripts_schema() -> pa.Schema:
    """Return the schema of the transcripts table: one row a clip and ASR model."""
    return pa.schema(
        [
            *(EXTRACTED.field(name) for name in _OF_SCORES),
            required("status", TEXT, "transcribed|rejected", "whether the clip could be heard"),
            described("reason", TEXT, "|".join(Reason), "why it was rejected; null if it was not"),
            EXTRACTED.field("detail"),
            EXTRACTED.field("flags"),
            EXTRACTED.field("duration_seconds"),
            EXTRACTED.field("audio_start_seconds"),
            described("has_speech", pa.bool_(), "", "whether any word was found; null if rejected"),
            described("language", TEXT, "ISO 639-1", "of the speech; null where nobody speaks"),
            described(
                "language_probability", DOUBLE, "0..1", "of the language; 1 where it was given"
            ),
            described(
                "text", TEXT, "", "what is said; empty: nobody speaks; null: no words are kept"
            ),
            described(
                "segments",
                pa.list_(SEGMENT_ITEM),
                "",
                "stretches of speech in the order of time: start, end, text, how sure the model is",
            ),
            described("num_words", _COUNT, "words", "words of the text, as blanks divide it"),
            described(
                "speech_seconds",
                DOUBLE,
                "s",
                "speech that was found, with up to 0.4 s around each stretch",
            ),
            required("asr_model", TEXT, "", "name of the model that turned speech into text"),
            required("asr_sha256", TEXT, "hex", "SHA-256 of its weights, config and tokenizer"),
            required(
                "asr_key", TEXT, "hex", "hash of all that decides the text: model and settings"
            ),
            required("asr_settings", TEXT, "JSON", "language if it was given, beam, version"),
            described(
                "transcribe_seconds", DOUBLE, "s", "spent on it; null where it was not measured"
            ),
            required("run_id", TEXT, "", "id of the run that wrote the row"),
            required("transcribed_at", TIME, "UTC", "when the row was computed"),
        ]
    )


OF_RUN = ("asr_model", "asr_sha256", "asr_settings", "run_id", "transcribed_at")
"""Columns that a run adds to the rows of its workers."""

HEARD = pa.schema([field for field in transcripts_schema() if field.name not in OF_RUN])
"""A clip's transcript on its way from a worker to the store."""

TRANSCRIPT_COLUMN = "transcript"

WITH_TRANSCRIPT = (
    HEARD.field("transcribe_seconds"),
    described(TRANSCRIPT_COLUMN, pa.struct(HEARD), "", "its row of transcripts, if new"),
)
"""Columns of a clip that was transcribed, on its way through a scorer to the store."""
