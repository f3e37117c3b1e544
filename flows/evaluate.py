"""Evaluate a model: score labelled clips, keep the metrics in a store, draw a picture."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow

from emi_model.checkpoints.load import load_model
from flows.exclusive import exclusive
from flows.server import run_names
from flows.server.artifacts import show_report
from flows.server.run_log import stage
from tasks.evaluation.evaluate import evaluate_gathered, label_columns
from tasks.evaluation.kept import keep_report
from tasks.evaluation.plots import check_picture
from tasks.evaluation.report import EvaluationReport
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import load_labelled_audio
from tasks.labels.splits import Split
from tasks.progress import observer
from tasks.registry.registry import resolve_model
from tasks.store.store import create_store, open_store


@dataclass(frozen=True)
class Evaluated:
    """The result of an evaluation.

    Attributes:
        report: the metrics, which are in the store.
        plot: path of the picture, on a disk or in a bucket.
    """

    report: EvaluationReport
    plot: str


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

    Raises:
        ConfigError: a picture of no known format.
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
    observer().begin("extracting audio", None, "clips")
    gathered = stage(
        "extract",
        load_labelled_audio,
        wanted,
        corpus,
        (split,),
        min_samples=loaded.model.min_samples,
        needs=loaded.modalities,
        on_progress=observer().reached,
    )
    observer().begin("predicting", len(gathered.of_split(split)), "clips")
    report = stage(
        "predict", evaluate_gathered, loaded, gathered, split, on_progress=observer().reached
    )
    observer().begin("drawing", None, "")
    picture = keep_report(report, store, plot)
    show_report(report, f"{report.model} on {split}")
    return Evaluated(report, picture)
