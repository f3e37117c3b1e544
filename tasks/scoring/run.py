"""The main job as a plain function: a corpus becomes scores in a results store.

`flows.process` schedules it; it also runs without Prefect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from emi_model.architecture.config import Precision
from emi_model.checkpoints.metadata import ModelMetadata
from emi_model.checkpoints.resolve import read_metadata
from tasks.cluster.budget import ScorerPool
from tasks.corpus.clips import ClipFile
from tasks.corpus.done import DoneClip, ScoringPlan, done_clips
from tasks.corpus.standing import note_current
from tasks.provenance import new_run_id
from tasks.registry.registry import is_champion, pin_model, resolve_model
from tasks.schema.tables import SCORES
from tasks.scoring.commit import RunStamp, splits_of_contents, tables_of
from tasks.scoring.job import Job, OnEnd, Run, do_missing, reuse_rows, run_job
from tasks.scoring.reuse import renew, reuse
from tasks.scoring.score_clips import scoring_work
from tasks.scoring.settings import Coverage, ScoringSettings
from tasks.scoring.stages.stage import Work
from tasks.store.store import ResultsStore


@dataclass(frozen=True)
class ScoringJob(Job):
    """Scores clips with a model.

    Attributes:
        stamp: as `Job`.
        settings: of the workers.
        is_champion: whether the model is the registered champion.
        tables: as `Job`.
        doing: as `Job`.
    """

    stamp: RunStamp
    settings: ScoringSettings
    is_champion: bool
    tables: tuple[str, ...] = (SCORES,)
    doing: str = "scoring"

    @property
    def precision(self) -> str:  # type: ignore[override]  # read only
        """Return the numerics requested."""
        return self.settings.precision

    def work(self, store: ResultsStore) -> Work:
        """Return extraction and scoring."""
        return scoring_work(self.settings)

    def done_clips(self, store: ResultsStore) -> dict[str, DoneClip]:
        """Return the latest rows of this model and coverage by clip id."""
        return done_clips(store, self.stamp.model_sha256, self.stamp.coverage)

    def tables_of(self, rows: pa.Table) -> Mapping[str, pa.Table]:
        """Return scores, and the seconds and windows in their rows."""
        return tables_of(rows, self.stamp)

    def reuse(self, store: ResultsStore, reused: Sequence[tuple[ClipFile, str]]) -> pa.Table:
        """Commit rows of equal content; return the scores."""
        return reuse(store, reused, self.stamp)

    def renew(self, store: ResultsStore, moved: Sequence[ClipFile]) -> None:
        """Commit the rows of clips that lie elsewhere now."""
        renew(store, moved, self.stamp)

    def conclude(self, store: ResultsStore) -> None:
        """Let the view of scores show this run's model and coverage."""
        note_current(
            store,
            model=self.stamp.model,
            model_sha256=self.stamp.model_sha256,
            coverage=self.stamp.coverage,
            run_id=self.stamp.run_id,
            is_champion=self.is_champion,
        )


def score_corpus(
    source: str,
    results: str,
    model: str,
    *,
    coverage: Coverage = "first",
    limit: int | None = None,
    rescore: bool = False,
    precision: Precision = "auto",
    pool: ScorerPool | None = None,
    ray_address: str | None = None,
    wait_minutes: float = 0,
    on_end: OnEnd | None = None,
    interrupts: tuple[type[BaseException], ...] = (KeyboardInterrupt,),
    reuse_stage: Callable[[Run, ScoringPlan], None] = reuse_rows,
    score_stage: Callable[[Run, ScoringPlan, ScorerPool, str | None], None] = do_missing,
) -> dict[str, Any]:
    """Score every clip of a corpus that the results store has no row for.

    Args:
        source: folder, file or manifest.
        results: folder or bucket of the results store; created if missing.
        model: model folder, hub id, or ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.
        coverage: ``first`` scores the first window of a clip, as the paper does; ``full`` all.
        limit: number of clips to take at most, from the first.
        rescore: score clips again that have a row; the new rows replace the old ones.
        precision: ``fp32``, ``bf16``, ``int8`` (CPU), or ``auto``: the machine's fast type.
        pool: number of scoring processes and their GPUs; default: see `ScorerPool`.
        ray_address: Ray cluster to run on, ``HOST:PORT``; None starts Ray on this machine.
        wait_minutes: how long to wait while another run writes to the results store.
        on_end: called with the run's row and the store's location.
        interrupts: exceptions that stop the run; it is then recorded as interrupted.
        reuse_stage: `reuse_rows`, or a scheduler's wrapper of it.
        score_stage: `do_missing`, or a scheduler's wrapper of it.

    Returns:
        The run's row in the ``runs`` table.

    Raises:
        EmiError: see `flows.process.process_corpus`.
    """

    def prepare() -> ScoringJob:
        pinned = pin_model(model)
        champion, folder = is_champion(pinned), resolve_model(pinned)
        metadata = read_metadata(folder)
        settings = _settings(pinned, folder, metadata, coverage, precision)
        return ScoringJob(_stamp(metadata, coverage), settings, champion)

    return run_job(
        source,
        results,
        prepare,
        limit=limit,
        again=rescore,
        pool=pool,
        ray_address=ray_address,
        wait_minutes=wait_minutes,
        on_end=on_end,
        interrupts=interrupts,
        reuse_stage=reuse_stage,
        work_stage=score_stage,
    )


def _stamp(metadata: ModelMetadata, coverage: Coverage) -> RunStamp:
    return RunStamp(
        model=metadata.card.name,
        model_sha256=metadata.sha256,
        coverage=coverage,
        run_id=new_run_id(),
        backbone_licence=metadata.card.licences,
        targets=metadata.card.targets,
        training_splits=splits_of_contents(metadata.training_clips),
    )


def _settings(
    model: str, folder: str, metadata: ModelMetadata, coverage: Coverage, precision: Precision
) -> ScoringSettings:
    config = metadata.config
    return ScoringSettings(
        model=str(Path(folder).absolute()) if Path(folder).is_dir() else folder,
        targets=config.targets,
        max_seconds=config.clip_seconds if coverage == "first" else None,
        coverage=coverage,
        precision=precision,
        model_sha256=metadata.sha256,
        elsewhere=model if model != folder else None,
        needs=metadata.modalities,
    )
