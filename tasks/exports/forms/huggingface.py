"""A Hugging Face audio folder: the clips' files, ``metadata.parquet`` and a data card.

`datasets.load_dataset(folder)` reads it (https://huggingface.co/docs/datasets/audio_dataset) as the
card says; by ``"audiofolder"`` and ``data_dir`` it would take clips' folders called ``train`` or
``test`` for splits. Files are copied as they are: a clip that is gone, or is not what was scored,
is left out, and so is a format that an audio folder does not take.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from emi_model.errors import ExportError
from tasks.exports.clip_names import clashes, file_stem, note_clashes
from tasks.exports.codebook import with_meanings
from tasks.exports.origin import licences, models
from tasks.exports.selection import CHOSEN, Selection
from tasks.exports.target import ExportTarget
from tasks.exports.yaml_text import as_yaml
from tasks.storage.open import open_file

AUDIO_FOLDER_SUFFIXES = frozenset(
    {
        *(".aiff", ".au", ".caf", ".flac", ".ogg", ".wav", ".mp3", ".opus", ".3gp", ".3g2"),
        *(".avi", ".asf", ".flv", ".mp4", ".mov", ".m4v", ".mkv", ".mpg", ".webm", ".wmv", ".wma"),
    }
)
"""Suffixes of files that an audio folder takes, without rare ones."""

_LEFT = ("uri", "bytes", "modified_ns", "detail", "reason", "status")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))
_LARGEST = "1M<n<10M"


def write_huggingface(selection: Selection, target: ExportTarget) -> int:
    """Write the folder; return how many clips it has.

    Raises:
        ExportError: none of the clips' files can be taken, or the disk does not take them.
    """
    note_clashes(selection)
    found = selection.schema(_rows("false"))
    kept = [name for name in selection.of_scores if name not in _LEFT]
    columns = with_meanings(pa.schema([found.field(name) for name in kept]), selection.targets)
    schema = pa.schema([pa.field("file_name", pa.string(), nullable=False), *columns])
    number = 0
    with pq.ParquetWriter(target.folder / "metadata.parquet", schema) as writer:
        for rows in _taken(selection, target.folder):
            writer.write_table(pa.Table.from_pylist(rows, schema))
            number += len(rows)
    if not number:
        why = "; ".join(f"{why}: {count}" for why, count in selection.left_out.items())
        raise ExportError(f"no clip's file can be taken: {why}")
    (target.folder / "README.md").write_text(_card(number, target.facts, schema), encoding="utf-8")
    return number


def _rows(part: str) -> str:
    return f"SELECT *, {clashes('clip_id')} AS clashing FROM {CHOSEN} WHERE {part} ORDER BY clip_id"


def _taken(selection: Selection, folder: Path) -> Iterator[list[dict[str, Any]]]:
    """Copy the files, and yield the rows of those that were taken."""
    for part in selection.slices():
        for batch in selection.batches(_rows(part)):
            taken = []
            for row in batch.to_pylist():
                name = _file_name(row)
                why = _why_not(row) or _copied(row, folder / name)
                if why:
                    selection.leave_out(why)
                else:
                    taken.append({"file_name": name, **row})
                selection.advance(1)
            if taken:
                yield taken


def _file_name(row: Mapping[str, Any]) -> str:
    suffix = PurePosixPath(row["clip_id"]).suffix
    return f"audio/{file_stem(row['clip_id'], clashing=row['clashing'])}{suffix}"


def _why_not(row: Mapping[str, Any]) -> str:
    """Return why a clip is left out; empty if it is not."""
    if row["status"] == "rejected":
        return "rejected, so no scores"
    if PurePosixPath(row["clip_id"]).suffix.lower() not in AUDIO_FOLDER_SUFFIXES:
        return "of a format that an audio folder does not take"
    return ""


def _copied(row: Mapping[str, Any], path: Path) -> str:
    """Copy a clip's file; return why it is left out, empty if it is not.

    Raises:
        ExportError: the disk does not take it, or two clips have one name.
    """
    try:
        folder, name = open_file(row["uri"])
        pieces = folder.chunks(name)
        first = next(pieces, b"")
    except OSError:
        return "its file is gone, or cannot be read"
    digest = hashlib.sha256(first)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(first)
            for piece in pieces:
                digest.update(piece)
                file.write(piece)
    except OSError as error:
        raise ExportError(f"{row['clip_id']}: cannot be copied: {error}") from error
    if row["content_sha256"] not in (None, digest.hexdigest()):
        path.unlink()
        return "its file was changed after it was scored"
    return ""


def _card(number: int, facts: Mapping[str, Any], schema: pa.Schema) -> str:
    """Return the data card: facts for the hub, then for people."""
    size = next((name for below, name in _SIZES if number < below), _LARGEST)
    head = {
        "pretty_name": "Emotion scores of clips",
        "license": "unknown",
        "task_categories": ["audio-classification"],
        "size_categories": [size],
        "tags": ["audio", "emotion", "emotional-mimicry-intensity"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": "train", "path": ["metadata.parquet", "audio/**"]}],
            }
        ],
    }
    columns = [
        f"| `{field.name}` | {_cell(field, b'unit')} | {_cell(field, b'description')} |"
        for field in schema
    ]
    rejected = [f"- {reason}: {count}" for reason, count in facts["rejected"].items()]
    lines = [
        *("---", as_yaml(head) + "---", ""),
        *("# Emotion scores of clips", ""),
        f"{number} clips with the scores of {models(facts)}, "
        f"made by `{facts['made_by']}` {facts['version']} on {facts['exported_at'][:10]}.",
        *("", "## What it may be used for", "", facts["limits"], ""),
        f"The scores come from weights under: {licences(facts)}. The licence of the recordings, "
        "and what the people in them agreed to, is not known here: say it before you share them.",
        *("", "## Columns", "", "| column | unit | meaning |", "|---|---|---|", *columns, ""),
        *("## Left out", "", "Clips without scores, by reason:", ""),
        *(rejected or ["- none"]),
    ]
    return "\n".join(lines) + "\n"


def _cell(field: pa.Field, name: bytes) -> str:
    text: bytes = (field.metadata or {}).get(name, b"")
    return text.decode().replace("|", r"\|")
