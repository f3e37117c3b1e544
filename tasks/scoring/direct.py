"""Scores a few clips without Ray, without Prefect, without a store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from emi_model.architecture.config import Precision
from emi_model.checkpoints.load import load_model
from emi_model.lanes import usual_lanes
from emi_model.modalities import TRANSCRIPT
from emi_model.predict import Predictor
from emi_model.targets import EMI_TARGETS, column_name
from tasks.corpus.listing import clip_file
from tasks.extraction.audio import TIMEOUT_SECONDS
from tasks.extraction.headers import Prober
from tasks.extraction.rows import NOTED, UNGIVEN, extract_clip
from tasks.extraction.series.given import parse_features, series_settings
from tasks.registry.registry import resolve_model
from tasks.schema.scores import bound_columns
from tasks.scoring.clip_scorer import ClipScorer
from tasks.scoring.settings import Coverage, Why
from tasks.transcription.asr_models import asr_key
from tasks.transcription.other_asr import remark_other_asr
from tasks.transcription.settings import settings_of_extractors


def score_files(
    files: Sequence[str],
    model: str,
    *,
    coverage: Coverage = "first",
    precision: Precision = "auto",
    raw: bool = False,
    why: Why | None = None,
    asr: str | None = None,
    language: str | None = None,
    features: Sequence[str] | None = None,
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Score files.

    Args:
        files: media files, or objects as ``s3://...``; a missing one becomes a rejection.
        model: model folder, also in a bucket, hub id, or ``models:/NAME@ALIAS`` or
            ``models:/NAME/VERSION``.
        coverage: ``first`` window or ``full``.
        precision: ``fp32``, ``bf16``, ``int8`` (CPU), or ``auto``: the machine's fast type.
        raw: leave EMI scores unclipped.
        why: what they are attributed to: ``modalities``, or ``all``: seconds as well; the rows
            have it in ``attributions``.
        asr: ASR model that writes the text, for a model that reads; default: ``EMI_ASR``.
        language: of the speech; default: detected in each clip.
        features: that other programs computed, ``NAME=PATH``, for a model that takes them.

    Returns:
        Rows with the store's columns, and the model's targets.

    Raises:
        ConfigError: the model reads text, and no ASR model is named; or its scores cannot be
            attributed.
        CheckpointError: the model cannot be loaded.
        RegistryError: the registry does not have the model or does not answer.
        CorpusError: a storage does not answer.
    """
    loaded = load_model(resolve_model(model), to_score=True)
    config = loaded.model.config
    max_seconds = config.clip_seconds if coverage == "first" else None
    heard = settings_of_extractors(loaded.modalities, asr, language)
    options = {**heard, **series_settings(config, parse_features(features or ()), files[0])}
    remark_other_asr(loaded.card.extractors, options)
    clips = [clip_file(file, os.fsencode(file)) for file in files]
    with Prober() as prober:
        extracted = [
            extract_clip(
                clip,
                max_seconds=max_seconds,
                timeout_seconds=TIMEOUT_SECONDS,
                prober=prober,
                needs=loaded.modalities,
                options=options,
            )
            for clip in clips
        ]
    for row in extracted:
        for key in (NOTED, UNGIVEN):  # no columns of the store
            row.pop(key, None)
    predictor = Predictor(loaded.model, precision=precision)
    predictor.lanes = usual_lanes(predictor.device)
    score = ClipScorer(
        predictor,
        coverage,
        raw=raw,
        intervals=loaded.intervals,
        why=why,
    )
    splits = loaded.training_splits
    facts: dict[str, Any] = {
        "model": loaded.card.name,
        "model_sha256": loaded.sha256,
        "backbone_licence": loaded.card.licences,
        "coverage": coverage,
        "asr_key": asr_key(heard[TRANSCRIPT]) if TRANSCRIPT in heard else None,
        "why": why,
    }
    if not config.targets:  # VAD alone: the store's columns of the six EMI scores are null
        facts |= dict.fromkeys([*map(column_name, EMI_TARGETS), *bound_columns(EMI_TARGETS)])
    try:
        scored = score(extracted)
    finally:
        if predictor.lanes is not None:
            predictor.lanes.close()
    rows = [row | facts | {"training_split": splits.get(row["content_sha256"])} for row in scored]
    return rows, config.targets
