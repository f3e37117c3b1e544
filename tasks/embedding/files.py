"""The Parquet files of embeddings: their columns, and what is in a folder of them already."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emi_model.errors import StoreError
from tasks.corpus.done import DoneClip
from tasks.schema.fields import FLOAT, MODEL_FIELDS, TEXT, described, required
from tasks.schema.outcomes import Reason
from tasks.storage.folder import Folder
from tasks.storage.parquet_files import parquet_bytes

_NAME = re.compile(r"embeddings-([0-9]+)\.parquet")
_KEY = ("model_sha256", "coverage")
_IDENTITY = ("content_sha256", "bytes", "modified_ns")


def embeddings_schema(*, frames: bool) -> pa.Schema:
    """Return the columns: a row a clip, embedded or rejected."""
    vector = described("vector", pa.list_(FLOAT), "", "mean of its frames; null if rejected")
    rows = described(
        "frames", pa.list_(pa.list_(FLOAT)), "", "features of each 20 ms; null if rejected"
    )
    return pa.schema(
        [
            required("clip_id", TEXT, "", "path of the clip's file below the corpus folder"),
            required("uri", TEXT, "", "where the file was found: its path or address"),
            described("content_sha256", TEXT, "hex", "SHA-256 of the file"),
            described("bytes", pa.int64(), "bytes", "size of the file"),
            described("modified_ns", pa.int64(), "ns since 1970", "modification time of the file"),
            described("reason", TEXT, "|".join(Reason), "why the clip was rejected"),
            described("detail", TEXT, "", "the reason in the words of the program that failed"),
            described("num_frames", pa.int64(), "frames of 20 ms", "frames that were embedded"),
            vector,
            *([rows] if frames else []),
            *MODEL_FIELDS,
            required("coverage", TEXT, "first|full", "what was embedded: the first 12 s, or all"),
        ]
    )


def embedded_in(
    folder: Folder, key: Mapping[str, str], *, frames: bool
) -> tuple[dict[str, DoneClip], int]:
    """Return the clips that a folder holds under a model and coverage, and the next file's number.

    Args:
        folder: of embeddings, or empty.
        key: ``model_sha256`` and ``coverage`` that its rows must have.
        frames: whether its rows must have frame features.

    Raises:
        StoreError: it holds other files, or embeddings of another kind.
    """
    clips: dict[str, DoneClip] = {}
    files = _files(folder)
    for name in files:
        opened = pq.ParquetFile(pa.BufferReader(folder.read(name)))
        if opened.schema_arrow.names != embeddings_schema(frames=frames).names:
            raise StoreError(
                f"{folder.uri}: its embeddings are {'without' if frames else 'with'} frames: "
                "choose another folder"
            )
        found = opened.read([*_KEY, "clip_id", *_IDENTITY])
        for column in _KEY:
            others = set(found[column].to_pylist()) - {key[column]}
            if others:
                raise StoreError(
                    f"{folder.uri}: its embeddings have {column} {others.pop()}, expected "
                    f"{key[column]}: choose another folder"
                )
        for row in found.to_pylist():
            clips[row["clip_id"]] = DoneClip(*(row[name] for name in _IDENTITY))
    numbers = [int(number) for name in files for number in _NAME.findall(name)]
    return clips, max(numbers, default=-1) + 1


def embeddings_file(number: int) -> str:
    """Return the name of a file of embeddings."""
    return f"embeddings-{number:05d}.parquet"


def forget(folder: Folder, clip_ids: Sequence[str]) -> None:
    """Remove the rows of clips that have changed; a call that is killed leaves no other row out."""
    changed = pa.array(clip_ids, pa.string())
    for name in _files(folder):
        found = pq.read_table(pa.BufferReader(folder.read(name)))
        kept = found.filter(pc.invert(pc.is_in(found["clip_id"], changed)))
        if len(kept) < len(found):
            folder.write(name, parquet_bytes(kept))


def _files(folder: Folder) -> list[str]:
    names = sorted(file.name for file in folder.files() if not file.name.startswith("."))
    for name in names:
        if not _NAME.fullmatch(name):
            raise StoreError(
                f"{folder.uri}: holds {name}, expected embeddings alone: choose an empty or new "
                "folder"
            )
    return names


def part_of(rows: Iterable[Mapping[str, Any]], *, frames: bool) -> pa.Table:
    """Return rows as a table of a file."""
    return pa.Table.from_pylist(list(rows), embeddings_schema(frames=frames))
