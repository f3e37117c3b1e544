"""The transcription stage: an actor that holds an ASR model, in a Ray worker or in this process.

A run's main process imports this class, too: an actor loads the model when it starts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from emi_model.errors import CheckpointError, EmiError
from emi_model.loading import without_gc
from emi_model.modalities import AUDIO, TRANSCRIPT
from tasks.cluster.budget import Budget
from tasks.extraction.inputs import pack, unpack
from tasks.extraction.rows import Row
from tasks.extraction.text import text_input
from tasks.schema.outcomes import Flag, Reason, Rejection, Status, rejected
from tasks.schema.scores import COSTS, EXTRACTED, NODE
from tasks.schema.transcripts import HEARD, TRANSCRIPT_COLUMN, WITH_TRANSCRIPT
from tasks.scoring.settings import TranscriptionSettings
from tasks.scoring.stages.ledger import (
    TRANSCRIBE,
    check_version,
    enlisted,
    holding,
    received,
    refusing,
    this_worker,
)
from tasks.scoring.stages.score_stage import SHARE_IT
from tasks.transcription.asr_models import asr_sha256
from tasks.transcription.transcript import SpokenSegment, Transcript

if TYPE_CHECKING:
    from tasks.transcription.transcriber import Transcriber

TRANSCRIBE_SECONDS = "transcribe_seconds"

TRANSCRIBER_NICENESS = 5
"""Scorers have priority over transcribers, and these over decoders."""

CLIPS_TO_TRANSCRIBE = 8
"""Most clips of one block: speech to text takes longer than all else, and rows wait for a block."""

LANES = 4
"""Most batches of waveforms that a transcriber on a CPU works on at a time."""

HEARD_LAST = pa.schema([*HEARD, COSTS[0], NODE])
"""Rows of a run that only transcribes."""

HEARD_ON_THE_WAY = pa.schema([*EXTRACTED, COSTS[0], *WITH_TRANSCRIPT])
"""Rows of a run that scores what was transcribed."""


class TranscriberActor:
    """Holds an ASR model and transcribes blocks of extracted clips."""

    def __init__(
        self,
        settings: TranscriptionSettings,
        budget: Budget,
        ledger: Any,
        given: Any = None,
    ) -> None:
        """Load the model.

        Args:
            settings: of the run.
            budget: of the machine or the cluster.
            ledger: of the pass.
            given: the transcripts, under `HEARD`, that need not be made again; Ray's reference of
                them.
        """
        self.node = enlisted(TRANSCRIBE, ledger)
        self.ledger, self.worker = ledger, this_worker(TRANSCRIBE, ledger)
        if not settings.is_last and ledger is not None:
            os.nice(TRANSCRIBER_NICENESS)
        device = "auto" if budget.gpus_per_scorer else "cpu"
        with refusing(ledger):
            transcriber = transcriber_here(
                settings, self.node, threads=budget.threads_per_scorer, device=device
            )
        known = received(given, ledger)
        self.transcribe = ClipTranscriber(transcriber, settings, known)
        self.settings = settings
        self.schema = HEARD_LAST if settings.is_last else HEARD_ON_THE_WAY

    def close(self) -> None:
        """Do nothing: its threads end with the model, once nobody has that."""

    def __call__(self, block: pa.Table) -> pa.Table:
        """Transcribe one block."""
        rows = block.to_pylist()
        with holding(self.ledger, self.worker, [row["clip_id"] for row in rows]):
            if self.settings.is_last:
                made = [{**row, "node": self.node} for row in self.transcribe.last(rows)]
            else:
                made = self.transcribe.with_text(rows)
            return pa.Table.from_pylist(made, self.schema)


class HeardClip(NamedTuple):
    """The transcript of a clip, and what it took.

    Attributes:
        transcript: what is said.
        seconds: spent on it; None if the store has it of this content.
        is_new: the store does not have it of this clip.
    """

    transcript: Transcript
    seconds: float | None
    is_new: bool


class ClipTranscriber:
    """Turns extracted rows into rows of transcripts, or adds the text that a model reads."""

    def __init__(
        self,
        transcriber: Transcriber,
        settings: TranscriptionSettings,
        known: pa.Table | None = None,
    ) -> None:
        """Transcribe with a loaded model what is not among the ``known`` transcripts."""
        self.transcriber = transcriber
        self.settings = settings
        self._known = HEARD.empty_table() if known is None else known
        keys = (self._known[name].to_pylist() for name in ("content_sha256", "asr_key"))
        self._places = {key: place for place, key in enumerate(zip(*keys, strict=True))}

    def last(self, rows: Sequence[Row]) -> list[Row]:
        """Return clips' rows of transcripts under `HEARD`, with what their extraction took."""
        return [
            heard_row(found if isinstance(found, dict) else row, self.settings, found)
            | {COSTS[0].name: row[COSTS[0].name]}
            for row, found in zip(rows, self._found(rows), strict=True)
        ]

    def with_text(self, rows: Sequence[Row]) -> list[Row]:
        """Return clips' rows under `HEARD_ON_THE_WAY`, their text among the model's inputs."""
        return [
            self._with_text(row, found) for row, found in zip(rows, self._found(rows), strict=True)
        ]

    def _with_text(self, row: Row, found: HeardClip | Row) -> Row:
        if not isinstance(found, HeardClip):
            return {**found, TRANSCRIPT_COLUMN: None, TRANSCRIBE_SECONDS: None}
        heard = heard_row(row, self.settings, found)
        facts = {name: heard[name] for name in found.transcript.facts() if name in EXTRACTED.names}
        extra = {
            TRANSCRIBE_SECONDS: found.seconds,
            TRANSCRIPT_COLUMN: heard if found.is_new else None,
        }
        text = text_input(found.transcript, len(unpack(row)[AUDIO]))
        if isinstance(text, Rejection) and self.settings.needs[TRANSCRIPT]:
            return rejected(row, text.reason, text.detail) | facts | extra
        items = {item["modality"]: item for item in row["inputs"]}
        if not isinstance(text, Rejection):
            items[TRANSCRIPT] = pack(TRANSCRIPT, text)
        inputs = [items[modality] for modality in self.settings.needs if modality in items]
        modalities = [item["modality"] for item in inputs]
        return {**row, "inputs": inputs, "modalities": modalities, **facts, **extra}

    def _found(self, rows: Sequence[Row]) -> list[HeardClip | Row]:
        """Return clips' transcripts, or the row of one that has none: it was rejected, is mute."""
        known = [self._without_hearing(row) for row in rows]
        unheard = [row for row, found in zip(rows, known, strict=True) if found is None]
        heard = iter(self._heard(unheard))
        return [next(heard) if found is None else found for found in known]

    def _without_hearing(self, row: Row) -> HeardClip | Row | None:
        """Return what is known of a clip; None if it must be transcribed."""
        if row["status"] == Status.REJECTED.value or unpack(row).get(AUDIO) is None:
            return row
        place = self._places.get((row["content_sha256"], _key(row, self.settings)))
        if place is None:
            return None
        (known,) = self._known.slice(place, 1).to_pylist()
        return HeardClip(_transcript(known), None, known["clip_id"] != row["clip_id"])

    def _heard(self, rows: Sequence[Row]) -> list[HeardClip | Row]:
        """Transcribe clips, together; each bears an equal part of the time."""
        started = time.perf_counter()
        made = self.transcriber.all_of([unpack(row)[AUDIO] for row in rows])
        seconds = (time.perf_counter() - started) / max(1, len(rows))
        heard: list[HeardClip | Row] = []
        for row, found in zip(rows, made, strict=True):
            if not isinstance(found, RuntimeError):
                heard.append(HeardClip(found, seconds, True))
            elif "out of memory" in str(found):  # of a GPU
                detail = str(found).partition("\n")[0][:300]
                heard.append(rejected(row, Reason.OUT_OF_MEMORY, detail))
            else:
                raise found
        return heard


def transcriber_here(
    settings: TranscriptionSettings, node: str, *, threads: int, device: str
) -> Transcriber:
    """Load a run's ASR model on a node.

    Raises:
        CheckpointError: this node does not find the model, or finds a different one.
        ClusterError: this node runs another version of this project.
        ConfigError: faster-whisper is not installed here.
    """
    with without_gc():
        from tasks.transcription.transcriber import Transcriber

    check_version(settings.version, node)
    try:
        found = asr_sha256(settings.asr.model)
    except EmiError as error:
        raise type(error)(f"node {node[:8]}: {error}") from error
    if found != settings.asr_sha256:
        raise CheckpointError(
            f"node {node[:8]}: found the ASR model {found[:12]} at {settings.asr.model}, expected "
            f"{settings.asr_sha256[:12]}: {SHARE_IT}"
        )
    return Transcriber(settings.asr, threads=threads, device=device, lanes=LANES)


def heard_row(
    row: Row, settings: TranscriptionSettings, found: HeardClip | Row | None = None
) -> Row:
    """Return a clip's row of transcripts under `HEARD`; without a transcript, of a rejection."""
    made: Row = {name: row.get(name) for name in HEARD.names}
    flags = [flag for flag in row["flags"] or () if flag != Flag.INPUT_FAILED]
    made |= {"flags": flags, "asr_key": _key(row, settings)}
    if not isinstance(found, HeardClip):
        return made
    made["detail"] = None  # of a scored clip it says which other input failed
    heard = {"status": Status.TRANSCRIBED.value, TRANSCRIBE_SECONDS: found.seconds}
    return made | found.transcript.columns(keep_text=settings.asr.keep_text) | heard


def _key(row: Row, settings: TranscriptionSettings) -> str:
    """Return the hash of all that decides a clip's text: also where it was cut off."""
    is_cut = settings.max_seconds is not None and Flag.TRUNCATED in (row["flags"] or ())
    return settings.cut_key if is_cut else settings.asr_key


def _transcript(known: Row) -> Transcript:
    """Return the transcript in a row under `HEARD`."""
    names = (field.name for field in fields(Transcript))
    segments = tuple(SpokenSegment(**segment) for segment in known["segments"])
    return Transcript(**{**{name: known[name] for name in names}, "segments": segments})
