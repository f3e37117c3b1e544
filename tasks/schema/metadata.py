"""The Arrow schemas of metadata: what a study knows of its clips and speakers, in own columns."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from tasks.schema.fields import TEXT, TIME, described, required

CLIP_ID = "clip_id"
_SPEAKER = "speaker"

FOLDER = described(
    "folder", TEXT, "", "first folder of the clip's path; null where it lies in none"
)
WHO_SPEAKS = described(
    _SPEAKER, TEXT, "", "who speaks, by the clip's metadata, else by its labels; null: unknown"
)

_ADDED = [
    required("number", pa.int32(), "1..", "number of the version, counted up"),
    required("added_at", TIME, "UTC", "when the version was made"),
    required("file", TEXT, "", "name of the file that was added"),
]
ADDED_COLUMNS = tuple(field.name for field in _ADDED)
"""What a version says of itself."""


def clip_metadata_schema(own: Iterable[pa.Field] = ()) -> pa.Schema:
    """Return the schema of metadata of clips: one row a clip.

    Args:
        own: columns of the study.
    """
    clip_id = required(CLIP_ID, TEXT, "", "path of the clip's file below the corpus folder")
    return pa.schema([clip_id, _NAMED_SPEAKER, *own, *_ADDED])


def speaker_metadata_schema(own: Iterable[pa.Field] = ()) -> pa.Schema:
    """Return the schema of metadata of speakers: one row a speaker.

    Args:
        own: columns of the study.
    """
    return pa.schema([required(_SPEAKER, TEXT, "", "who speaks"), *own, *_ADDED])


_NAMED_SPEAKER = described(_SPEAKER, TEXT, "", "who speaks; null if no file named it")
