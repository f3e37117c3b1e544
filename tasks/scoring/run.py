"""The main job as a plain function: a corpus becomes scores in a results store.

`flows.process` schedules it; it also runs without Prefect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from emi_model.architecture.config import Precision
from emi_model.attribution.limits import check_attributable
from emi_model.checkpoints.metadata import ModelMetadata
from emi_model.checkpoints.resolve import read_metadata
from emi_model.errors import ConfigError
from emi_model.modalities import TRANSCRIPT
from tasks.cluster.budget import ScorerPool
from tasks.corpus.clips import ClipFile
from tasks.corpus.done import DoneClip, ScoringPlan, done_clips
from tasks.corpus.standing import note_current
from tasks.extraction.registry import depend_on_names, require_extractors
from tasks.extraction.series.given import parse_features, series_settings
from tasks.provenance import new_run_id
from tasks.registry.registry import is_champion, pin_model, resolve_model
from tasks.schema.tables import SCORES, TRANSCRIPTS
from tasks.schema.transcripts import TRANSCRIPT_COLUMN
from tasks.scoring.commit import RunStamp, tables_of
from tasks.scoring.job import Job, OnEnd, Run, do_missing, reuse_rows, run_job
from tasks.scoring.reuse import renew, reuse
from tasks.scoring.score_clips import scoring_work
from tasks.scoring.settings import Coverage, ScoringSettings, Why
from tasks.scoring.stages.stage import Work
from tasks.scoring.transcribe import transcription_settings
from tasks.scoring.transcripts import (
    known_transcripts,
    renew_transcripts,
    reuse_transcripts,
    transcripts_table,
)
from tasks.store.store import ResultsStore
from tasks.transcription.asr_models import asr_columns, check_asr
from tasks.transcription.other_asr import remark_other_asr
from tasks.transcription.settings import AsrSettings, asr_settings


@dataclass(frozen=True)
class ScoringJob(Job):
    """Scores clips with a model.

    Attributes:
        stamp: as `Job`.
        settings: of the workers.
        is_champion: whether the model is the registered champion.
        asr: columns that name the ASR model, for a model that reads text.
        tables: as `Job`.
        doing: as `Job`.
    """

    stamp: RunStamp
    settings: ScoringSettings
    is_champion: bool
    asr: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[str, ...] = (SCORES,)
    doing: str = "scoring"

    @property
    def precision(self) -> str:  # type: ignore[override]  # read only
        """Return the numerics requested."""
        return self.settings.precision

    @property
    def by_name(self) -> bool:
        """Return whether the model takes features that are found by a clip's name."""
        return depend_on_names(self.settings.needs, self.settings.options)

    def work(self, store: ResultsStore) -> Work:
        """Return extraction and scoring."""
        if self.settings.transcription is None:
            return scoring_work(self.settings)
        keys = self.settings.transcription.keys
        return scoring_work(self.settings, lambda clips: known_transcripts(store, clips, keys))

    def done_clips(self, store: ResultsStore) -> dict[str, DoneClip]:
        """Return the latest rows of this model and coverage by clip id."""
        stamp, needs = self.stamp, self.settings.needs
        return done_clips(
            store,
            stamp.model_sha256,
            stamp.coverage,
            needs=needs,
            asr_key=stamp.asr_key,
            why=stamp.why,
        )

    def tables_of(self, rows: pa.Table) -> Mapping[str, pa.Table]:
        """Return scores, the seconds and windows in their rows, and new transcripts."""
        tables = tables_of(rows, self.stamp)
        if self.settings.transcription is None:
            return tables
        heard = rows[TRANSCRIPT_COLUMN].combine_chunks()
        new = pa.Table.from_struct_array(heard.filter(heard.is_valid()))
        return tables | {TRANSCRIPTS: transcripts_table(new, self.asr, self.stamp)}

    def reuse(self, store: ResultsStore, reused: Sequence[tuple[ClipFile, str]]) -> pa.Table:
        """Commit rows of equal content; return the scores."""
        heard = self.settings.transcription
        if heard is not None:
            keep_text = heard.asr.keep_text
            reuse_transcripts(store, reused, heard.keys, self.stamp, keep_text=keep_text)
        return reuse(store, reused, self.stamp)

    def renew(self, store: ResultsStore, moved: Sequence[ClipFile]) -> None:
        """Commit the rows of clips that lie elsewhere now."""
        heard = self.settings.transcription
        if heard is not None:
            keep_text = heard.asr.keep_text
            renew_transcripts(store, moved, heard.keys, self.stamp, keep_text=keep_text)
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
    asr: AsrSettings | None = None,
    require: Sequence[str] = (),
    why: Why | None = None,
    features: Sequence[str] = (),
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
        asr: the ASR model for a model that reads text; default: that of ``EMI_ASR``.
        require: modalities without which a clip is rejected, beside those the model cannot do
            without.
        why: what the scores are attributed to: ``modalities``, or ``all``: seconds as well.
        features: that other programs computed, ``NAME=PATH``, for a model that takes them.
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
        given = series_settings(metadata.config, parse_features(features), source)
        needs = needs_with(settings.needs, require)
        settings = replace(settings, needs=needs, options=given, why=why)
        if why is not None:
            check_attributable(len(settings.targets), list(settings.needs))
        # text: once its ASR is named
        require_extractors({*settings.needs} - {TRANSCRIPT, *given})
        stamp = replace(_stamp(metadata, coverage), why=why)
        if TRANSCRIPT not in settings.needs:
            return ScoringJob(stamp, settings, champion)
        named = asr or asr_settings(None)
        check_asr(named.model)
        remark_other_asr(metadata.card.extractors, {TRANSCRIPT: named})
        columns = asr_columns(named)
        transcription = transcription_settings(
            named,
            columns,
            settings.max_seconds,
            needs=settings.needs,
            is_last=False,
            options=given,
        )
        settings = replace(
            settings, options={**given, TRANSCRIPT: named}, transcription=transcription
        )
        stamp = replace(stamp, asr_key=columns["asr_key"])
        return ScoringJob(stamp, settings, champion, columns, (SCORES, TRANSCRIPTS))

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


def needs_with(needs: Mapping[str, bool], require: Sequence[str]) -> dict[str, bool]:
    """Return a model's modalities, those that are required as ones that a clip must have.

    Raises:
        ConfigError: the model does not take a required one.
    """
    unknown = [modality for modality in require if modality not in needs]
    if unknown:
        raise ConfigError(
            f"found {', '.join(unknown)} required of the clips, but this model takes "
            f"{', '.join(needs)}: name only those with --require"
        )
    return {modality: needed or modality in require for modality, needed in needs.items()}


def _stamp(metadata: ModelMetadata, coverage: Coverage) -> RunStamp:
    return RunStamp(
        model=metadata.card.name,
        model_sha256=metadata.sha256,
        coverage=coverage,
        run_id=new_run_id(),
        backbone_licence=metadata.card.licences,
        targets=metadata.card.targets,
        training_splits=metadata.training_splits,
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
