"""Transcription as a plain function: a corpus becomes transcripts in a results store.

`flows.transcribe` schedules it; it also runs without Prefect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tasks.cluster.budget import ScorerPool
from tasks.corpus.clips import ClipFile
from tasks.corpus.done import DoneClip, ScoringPlan, done_transcripts
from tasks.provenance import new_run_id
from tasks.schema.scores import COSTS, NODE
from tasks.schema.tables import TRANSCRIPTS
from tasks.scoring.commit import RunStamp
from tasks.scoring.job import Job, OnEnd, Run, do_missing, reuse_rows, run_job
from tasks.scoring.settings import TranscriptionSettings
from tasks.scoring.stages.ledger import TRANSCRIBE
from tasks.scoring.stages.stage import ActorStage, Work
from tasks.scoring.stages.transcribe_stage import (
    CLIPS_TO_TRANSCRIBE,
    HEARD_LAST,
    TranscriberActor,
    heard_row,
)
from tasks.scoring.transcripts import (
    cut_key,
    renew_transcripts,
    reuse_transcripts,
    transcripts_table,
)
from tasks.store.store import ResultsStore
from tasks.transcription.asr_models import asr_columns
from tasks.transcription.settings import AsrSettings


@dataclass(frozen=True)
class TranscriptionJob(Job):
    """Transcribes clips with an ASR model.

    Attributes:
        stamp: as `Job`; its model is the ASR model.
        settings: of the workers.
        asr: columns that name the ASR model and how it is used.
        tables: as `Job`.
        doing: likewise.
        precision: likewise.
    """

    stamp: RunStamp
    settings: TranscriptionSettings
    asr: Mapping[str, str]
    tables: tuple[str, ...] = (TRANSCRIPTS,)
    doing: str = "transcribing"
    precision: str = "auto"

    def work(self, store: ResultsStore) -> Work:
        """Return extraction and transcription."""
        nothing: dict[str, Any] = {COSTS[0].name: 0.0, NODE.name: None}
        return Work(
            extraction=self.settings,
            stages=(ActorStage(TRANSCRIBE, TranscriberActor, self.settings),),
            schema=HEARD_LAST,
            finished=lambda row: heard_row(row, self.settings) | nothing,
            clips_per_block=CLIPS_TO_TRANSCRIBE,
        )

    def done_clips(self, store: ResultsStore) -> dict[str, DoneClip]:
        """Return the latest transcripts by this ASR model and these settings, by clip id."""
        return done_transcripts(store, self.settings.asr_key, keep_text=self._keep_text)

    def tables_of(self, rows: pa.Table) -> Mapping[str, pa.Table]:
        """Return the transcripts."""
        return {TRANSCRIPTS: transcripts_table(rows, self.asr, self.stamp)}

    def reuse(self, store: ResultsStore, reused: Sequence[tuple[ClipFile, str]]) -> pa.Table:
        """Commit transcripts of equal content; return them."""
        return reuse_transcripts(
            store, reused, self.settings.keys, self.stamp, keep_text=self._keep_text
        )

    def renew(self, store: ResultsStore, moved: Sequence[ClipFile]) -> None:
        """Commit the transcripts of clips that lie elsewhere now."""
        renew_transcripts(store, moved, self.settings.keys, self.stamp, keep_text=self._keep_text)

    @property
    def _keep_text(self) -> bool:
        return self.settings.asr.keep_text


def transcribe_corpus(
    source: str,
    results: str,
    asr: AsrSettings,
    *,
    limit: int | None = None,
    again: bool = False,
    pool: ScorerPool | None = None,
    ray_address: str | None = None,
    wait_minutes: float = 0,
    on_end: OnEnd | None = None,
    interrupts: tuple[type[BaseException], ...] = (KeyboardInterrupt,),
    reuse_stage: Callable[[Run, ScoringPlan], None] = reuse_rows,
    work_stage: Callable[[Run, ScoringPlan, ScorerPool, str | None], None] = do_missing,
) -> dict[str, Any]:
    """Transcribe every clip of a corpus that the store has no transcript of by this ASR model.

    Args:
        source: folder, file or manifest.
        results: folder or bucket of the results store; created if missing.
        asr: the ASR model, and how it is used.
        limit: number of clips to take at most, from the first.
        again: clips that have a transcript, too.
        pool: number of transcribing processes and their GPUs; default: see `ScorerPool`.
        ray_address: Ray cluster to run on, ``HOST:PORT``; None starts Ray on this machine.
        wait_minutes: how long to wait while another run writes to the results store.
        on_end: called with the run's row and the store's location.
        interrupts: exceptions that stop the run; it is then recorded as interrupted.
        reuse_stage: `reuse_rows`, or a scheduler's wrapper of it.
        work_stage: `do_missing`, or a scheduler's wrapper of it.

    Returns:
        The run's row in the ``runs`` table.

    Raises:
        EmiError: see `flows.transcribe.transcribe_clips`.
    """
    return run_job(
        source,
        results,
        lambda: transcription_job(asr),
        limit=limit,
        again=again,
        pool=pool,
        ray_address=ray_address,
        wait_minutes=wait_minutes,
        on_end=on_end,
        interrupts=interrupts,
        reuse_stage=reuse_stage,
        work_stage=work_stage,
    )


def transcription_job(asr: AsrSettings) -> TranscriptionJob:
    """Return the job of a run that transcribes whole clips.

    Raises:
        ConfigError: faster-whisper is not installed.
        CheckpointError: the ASR model is not found, or is none.
    """
    columns = asr_columns(asr)
    settings = transcription_settings(asr, columns, None)
    stamp = RunStamp(
        model=columns["asr_model"],
        model_sha256=columns["asr_sha256"],
        coverage="full",
        run_id=new_run_id(),
        backbone_licence="",
        targets=(),
    )
    return TranscriptionJob(stamp, settings, columns)


def transcription_settings(
    asr: AsrSettings, columns: Mapping[str, str], max_seconds: float | None, **others: Any
) -> TranscriptionSettings:
    """Return the settings of workers that transcribe.

    Args:
        asr: the ASR model, and how it is used.
        columns: of `tasks.transcription.asr_models.asr_columns`.
        max_seconds: seconds of a clip to decode; None for all.
        others: further fields.
    """
    key = columns["asr_key"]
    return TranscriptionSettings(
        asr=asr,
        asr_sha256=columns["asr_sha256"],
        asr_key=key,
        cut_key=cut_key(key, max_seconds),
        max_seconds=max_seconds,
        **others,
    )
