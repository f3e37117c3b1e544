"""Transcription as a Prefect flow: a corpus becomes transcripts in a results store."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from prefect import flow
from prefect.exceptions import TerminationSignal
from pydantic import Field

from flows.exclusive import exclusive
from flows.process import reuse_task, task_of_workers
from flows.server import run_names
from flows.server.events import rows_committed
from tasks.cluster.budget import ScorerPool
from tasks.scoring.transcribe import transcribe_corpus
from tasks.transcription.settings import BEAM_SIZE, asr_settings


@flow(
    name="transcribe-corpus",
    flow_run_name=run_names.transcribed,
    validate_parameters=True,
    persist_result=False,
)
@exclusive
def transcribe_clips(
    source: str,
    results: str,
    asr: str | None = None,
    language: str | None = None,
    keep_text: bool = True,
    beam_size: Annotated[int, Field(ge=1)] = BEAM_SIZE,
    limit: Annotated[int | None, Field(ge=1)] = None,
    again: bool = False,
    workers: Annotated[int | None, Field(ge=1)] = None,
    gpus_per_worker: Annotated[float | None, Field(gt=0, le=1)] = None,
    ray_address: str | None = None,
    wait_minutes: Annotated[float, Field(ge=0)] = 0,
) -> dict[str, Any]:
    """Transcribe every clip of a corpus that the store has no transcript of by this ASR model.

    Args:
        source: folder, file or manifest.
        results: folder or bucket of the results store; created if missing.
        asr: the ASR model: a Whisper folder, of CTranslate2's or Hugging Face's layout, or a hub
            id; default: ``EMI_ASR``.
        language: of the speech, as ``en``; default: detected in each clip.
        keep_text: keep what was said; else only language, counts and seconds.
        beam_size: hypotheses that the decoder keeps; 1 is greedy.
        limit: number of clips to take at most, from the first.
        again: transcribe clips that have a transcript, too; the new rows replace the old ones.
        workers: transcribing processes; default two, or one a GPU; on a cluster as many as fit.
        gpus_per_worker: GPUs of each, at most 1; with 0.5 two share a GPU.
        ray_address: Ray cluster to run on, ``HOST:PORT``; default: ``RAY_ADDRESS``, else Ray is
            started on this machine.
        wait_minutes: how long to wait while another run writes to the results store.

    Returns:
        The run's row in the ``runs`` table.

    Raises:
        ConfigError: no ASR model is named, or faster-whisper is not installed.
        CheckpointError: the ASR model is not found, or is none.
        CorpusError: the source holds no clips.
        StoreError: the results store is locked, or the folder is no results store.
        ClusterError: Ray does not start, or the cluster cannot be joined.
        ScoringError: the workers cannot work.
    """
    named = asr_settings(asr, language, keep_text=keep_text)
    return transcribe_corpus(
        source,
        results,
        replace(named, beam_size=beam_size),
        limit=limit,
        again=again,
        pool=ScorerPool(workers, gpus_per_worker),
        ray_address=ray_address,
        wait_minutes=wait_minutes,
        on_end=rows_committed,
        interrupts=(KeyboardInterrupt, TerminationSignal),
        reuse_stage=reuse_task,
        work_stage=transcribe_task,
    )


transcribe_task = task_of_workers("transcribe")
