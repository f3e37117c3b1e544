"""The main job as a Prefect flow: a corpus becomes rows in a results store."""

from __future__ import annotations

import os
from typing import Annotated, Any

from prefect import Task, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.runtime import deployment
from pydantic import Field

from emi_model.architecture.config import Precision
from emi_model.errors import ClusterError, StoreError
from flows.exclusive import exclusive
from flows.server import run_names
from flows.server.artifacts import show_run
from flows.server.events import rows_committed
from tasks.cluster.budget import ScorerPool
from tasks.scoring.job import do_missing, reuse_rows
from tasks.scoring.run import score_corpus
from tasks.scoring.settings import Coverage, Why
from tasks.transcription.settings import ASR_VARIABLE, AsrSettings, asr_settings

RETRY_SECONDS = [10.0, 60.0]
"""Waits before retries of scoring, where a retry can help."""


@flow(
    name="process-corpus",
    flow_run_name=run_names.scored,
    validate_parameters=True,
    persist_result=False,
)
@exclusive
def process_corpus(
    source: str,
    results: str,
    model: str,
    coverage: Coverage = "first",
    limit: Annotated[int | None, Field(ge=1)] = None,
    rescore: bool = False,
    workers: Annotated[int | None, Field(ge=1)] = None,
    precision: Precision = "auto",
    gpus_per_scorer: Annotated[float | None, Field(gt=0, le=1)] = None,
    ray_address: str | None = None,
    wait_minutes: Annotated[float, Field(ge=0)] = 0,
    asr: str | None = None,
    language: str | None = None,
    keep_text: bool = True,
    require: list[str] | None = None,
    why: Why | None = None,
    features: list[str] | None = None,
) -> dict[str, Any]:
    """Score every clip of a corpus that the results store has no row for.

    Args:
        source: folder, file or manifest.
        results: folder or bucket of the results store; created if missing.
        model: model folder, hub id, or ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.
        coverage: ``first`` scores the first window of a clip, as the paper does; ``full`` all.
        limit: number of clips to take at most, from the first.
        rescore: score clips again that have a row; the new rows replace the old ones.
        workers: scoring processes; default two, or one a GPU; on a cluster as many as fit, as it
            grows and shrinks.
        precision: ``fp32``, ``bf16``, ``int8`` (CPU), or ``auto``: the machine's fast type.
        gpus_per_scorer: GPUs of each scoring process, at most 1; with 0.5 two share a GPU.
        ray_address: Ray cluster to run on, ``HOST:PORT``; default: ``RAY_ADDRESS``, else Ray is
            started on this machine.
        wait_minutes: how long to wait while another run writes to the results store.
        asr: the ASR model for a model that reads text; default: ``EMI_ASR``.
        language: of the speech, as ``en``; default: detected in each clip.
        keep_text: keep what was said in the table ``transcripts``.
        require: modalities without which a clip is rejected, such as ``text``.
        why: what the scores are attributed to, in the table ``attributions``: ``modalities``, or
            ``all``: seconds as well.
        features: that other programs computed, ``NAME=PATH``, for a model that takes them.

    Returns:
        The run's row in the ``runs`` table.

    Raises:
        CorpusError: the source holds no clips.
        CheckpointError: the model cannot be loaded.
        RegistryError: the registry does not have the model or does not answer.
        StoreError: the results store is locked, or the folder is no results store.
        ConfigError: ``workers`` or ``gpus_per_scorer`` is out of its range; the model reads text,
            and no ASR model is named; it does not take a modality that is required; its scores
            cannot be attributed.
        ClusterError: Ray does not start, or the cluster cannot be joined.
        ScoringError: the workers cannot work.
    """
    row = score_corpus(
        source,
        results,
        model,
        coverage=coverage,
        limit=limit,
        rescore=rescore,
        precision=precision,
        asr=_asr(asr, language, keep_text),
        require=require or (),
        why=why,
        features=features or (),
        pool=ScorerPool(workers, gpus_per_scorer),
        ray_address=ray_address,
        wait_minutes=wait_minutes,
        on_end=rows_committed,
        interrupts=(KeyboardInterrupt, TerminationSignal),
        reuse_stage=reuse_task,
        score_stage=score_task,
    )
    show_run(row)
    return row


def _asr(model: str | None, language: str | None, keep_text: bool) -> AsrSettings | None:
    """Return how an ASR model is used; None if none is named anywhere."""
    named = model or os.environ.get(ASR_VARIABLE)
    return asr_settings(named, language, keep_text=keep_text) if named else None


def can_heal(_task: object, _run: object, state: State[Any]) -> bool:
    """Return whether a retry can help: the cluster or the storage was not reached.

    Only runs of deployments are retried: a user at the keyboard sees the error at once. An error of
    a disk has an errno, one of an unreachable bucket has none.
    """
    error = state.data
    cause = getattr(error, "__cause__", None)
    unreached = isinstance(cause, OSError) and cause.errno is None
    heals = isinstance(error, ClusterError) or (isinstance(error, StoreError) and unreached)
    return heals and deployment.id is not None


def task_of_workers(name: str) -> Task[..., None]:
    """Return the Prefect task of this name that puts clips through a job's stages."""
    return task(
        name=name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=len(RETRY_SECONDS),
        retry_delay_seconds=RETRY_SECONDS,
        retry_condition_fn=can_heal,
    )(do_missing)


reuse_task = task(name="reuse", cache_policy=NO_CACHE, persist_result=False)(reuse_rows)
score_task = task_of_workers("score")
