"""Evaluate a model: score labelled clips, keep the metrics in a store, draw a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prefect import flow

from emi_model.checkpoints.checkpoint import LoadedModel
from emi_model.checkpoints.load import load_model
from flows.exclusive import exclusive
from flows.server import run_names
from flows.server.artifacts import show_report
from flows.server.run_log import stage
from tasks.evaluation.evaluate import evaluate_gathered, label_columns
from tasks.evaluation.kept import keep_report
from tasks.evaluation.plots import check_picture
from tasks.evaluation.report import EvaluationReport
from tasks.extraction.series.given import parse_features, series_settings
from tasks.labels.label_set import LabelSet, load_labels
from tasks.labels.labelled_clips import load_labelled_audio
from tasks.labels.splits import Split
from tasks.progress import observer
from tasks.registry.registry import resolve_model
from tasks.store.store import create_store, open_store
from tasks.transcription.other_asr import remark_other_asr
from tasks.transcription.settings import settings_of_extractors


@dataclass(frozen=True)
class Evaluated:
    """The result of an evaluation.

    Attributes:
        report: the metrics, which are in the store.
        plot: path of the picture, on a disk or in a bucket.
        other: the metrics with the text of another ASR model, which are in the store likewise;
            None: there was none.
    """

    report: EvaluationReport
    plot: str
    other: EvaluationReport | None = None


@flow(
    name="evaluate",
    flow_run_name=run_names.evaluated,
    validate_parameters=True,
    persist_result=False,
)
@exclusive
def evaluate_model(
    model: str,
    labels: str,
    corpus: str,
    split: Split = "valid",
    results: str | None = None,
    snapshot: str | None = None,
    plot: str | None = None,
    asr: str | None = None,
    language: str | None = None,
    other_asr: str | None = None,
    features: list[str] | None = None,
) -> Evaluated:
    """Measure how well a model follows the labels of a split, and keep the metrics.

    Args:
        model: model folder, hub id, or a registered version.
        labels: results store with the labels.
        corpus: folder, file or manifest with the clips.
        split: the clips to evaluate on.
        results: results store that keeps the figures, made if it is not there; default: that of
            the labels.
        snapshot: label snapshot, by number or id; default: the latest.
        plot: file of the picture; default: ``plots/<evaluation id>.png`` in that store.
        asr: ASR model that writes the text, for a model that reads; default: ``EMI_ASR``.
        language: of the speech, as ``en``; default: detected in each clip.
        other_asr: another one, whose text of the same clips is evaluated as well.
        features: that other programs computed, ``NAME=PATH``, for a model that takes them.

    Raises:
        ConfigError: a picture of no known format, or a model that reads and no ASR model.
        CheckpointError: the model cannot be loaded.
        LabelError: no labels, no clip of the split, or labels of other targets.
        CorpusError: no such corpus.
        StoreError: a store is foreign or damaged, or cannot be written.
    """
    observer().begin("reading labels", None, "")
    if plot is not None:
        check_picture(plot)
    wanted = load_labels(labels, snapshot)
    store = open_store(labels) if results is None else create_store(results)
    loaded = load_model(resolve_model(model))
    label_columns(wanted, loaded.model.config.targets)  # fail before anything slow
    given = series_settings(loaded.model.config, parse_features(features or ()), corpus)
    options = {**settings_of_extractors(loaded.modalities, asr, language), **given}
    others = settings_of_extractors(loaded.modalities, other_asr, language) if other_asr else {}
    remark_other_asr(loaded.card.extractors, options)
    report = _measured(loaded, wanted, corpus, split, options)
    other = _measured(loaded, wanted, corpus, split, {**others, **given}) if others else None
    observer().begin("drawing", None, "")
    picture = keep_report(report, store, plot)
    show_report(report, f"{report.model} on {split}")
    if other is not None:
        other.write(store)
        show_report(other, f"{report.model} on {split}, text of {other_asr}")
    return Evaluated(report, picture, other)


def _measured(
    loaded: LoadedModel, labels: LabelSet, corpus: str, split: Split, options: Mapping[str, Any]
) -> EvaluationReport:
    observer().begin("extracting audio", None, "clips")
    gathered = stage(
        "extract",
        load_labelled_audio,
        labels,
        corpus,
        (split,),
        min_samples=loaded.model.min_samples,
        needs=loaded.modalities,
        options=options,
        on_progress=observer().reached,
    )
    observer().begin("predicting", len(gathered.of_split(split)), "clips")
    return stage(
        "predict", evaluate_gathered, loaded, gathered, split, on_progress=observer().reached
    )
