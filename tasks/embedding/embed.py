"""Embeds a corpus, clip by clip in this process, into a folder of Parquet files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from emi_model.checkpoints.load import load_model
from emi_model.embed import Embedder
from emi_model.errors import StoreError
from tasks.corpus.done import is_unchanged
from tasks.corpus.listing import list_clips
from tasks.embedding.files import embedded_in, embeddings_file, forget, part_of
from tasks.embedding.rows import embedded
from tasks.progress import observer
from tasks.registry.registry import resolve_model
from tasks.storage.folder import Folder
from tasks.storage.open import open_folder
from tasks.storage.parquet_files import parquet_bytes

CLIPS_A_FILE = 1_024
CLIPS_WITH_FRAMES_A_FILE = 64
"""600 frames of 1,027 floats are 2.5 MB a clip."""


@dataclass
class EmbeddingReport:
    """What was done.

    Attributes:
        num_embedded: clips that got a vector.
        num_skipped: clips that had a row before.
        size: values of a vector.
        reasons: rejected clips by reason.
    """

    size: int
    num_embedded: int = 0
    num_skipped: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def embed_corpus(
    source: str, results: str, model: str, *, full: bool = False, frames: bool = False
) -> EmbeddingReport:
    """Embed every clip of a source that a folder has no row for.

    A clip is done when the folder has a row with its size and modification time, of a file that
    could be read.

    Args:
        source: folder, file or manifest, on a disk or in a bucket.
        results: folder or bucket of the embeddings, new or of an earlier call.
        model: as `emi score --model` takes it.
        full: embed all of a clip, not only the model's first window.
        frames: keep the features of every frame as well.

    Raises:
        CheckpointError: the model cannot be loaded.
        ConfigError: it does not hear.
        CorpusError: no clips, or their storage does not answer.
        StoreError: the folder holds something else, or cannot be written.
    """
    clips = list_clips(source)
    loaded = load_model(resolve_model(model))
    embedder = Embedder(loaded.model)
    coverage = "full" if full else "first"
    facts = {"model": loaded.card.name, "model_sha256": loaded.sha256, "coverage": coverage}
    report = EmbeddingReport(embedder.size)
    try:
        folder = open_folder(results)
        done, number = embedded_in(folder, facts, frames=frames)
        todo = [clip for clip in clips if not is_unchanged(clip, done.get(clip.clip_id))]
        changed = [clip.clip_id for clip in todo if clip.clip_id in done]
        if changed:
            forget(folder, changed)
    except OSError as error:
        raise StoreError(f"{results}: cannot be read or written: {error}") from error
    report.num_skipped = len(clips) - len(todo)
    observer().begin("embedding", len(todo), "clips")
    seconds = None if full else loaded.model.config.clip_seconds
    rows: list[dict[str, Any]] = []
    try:
        for row in embedded(todo, embedder, seconds, frames=frames):
            report.num_embedded += row["reason"] is None
            report.reasons.update([row["reason"]] if row["reason"] else [])
            rows.append({**row, **facts})
            if len(rows) == (CLIPS_WITH_FRAMES_A_FILE if frames else CLIPS_A_FILE):
                batch, rows = rows, []
                _write(folder, number, batch, frames=frames)
                number += 1
            observer().advance(1)
    finally:  # an interrupt loses nothing that was embedded
        if rows:
            _write(folder, number, rows, frames=frames)
    return report


def _write(folder: Folder, number: int, rows: list[dict[str, Any]], *, frames: bool) -> None:
    name = embeddings_file(number)
    try:
        folder.write(name, parquet_bytes(part_of(rows, frames=frames)))
    except OSError as error:
        raise StoreError(
            f"{folder.uri}: {name} could not be written ({error}): what was written before stays; "
            "mend that and run again"
        ) from error
