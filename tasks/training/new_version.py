"""From labels to a registered model: train, evaluate, register."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from emi_model.checkpoints.checkpoint import load_checkpoint
from emi_model.errors import EmiError, RegistryError
from emi_model.metrics.resamples import METRIC_NAMES
from emi_model.training.trainer import EpochReport
from tasks.cluster.budget import training_share
from tasks.cluster.joined import joined_cluster, machines
from tasks.evaluation.evaluate import evaluate_predictions
from tasks.evaluation.plots import agreement_plot, curve_plot, save_picture
from tasks.evaluation.report import EvaluationReport
from tasks.extraction.series.given import parse_features
from tasks.home import home
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import LabelledAudio
from tasks.labels.splits import TRAIN, VALID
from tasks.processes import ending
from tasks.progress import observer
from tasks.provenance import package_versions, source_commit
from tasks.registry.registry import folder_of, list_versions, register
from tasks.registry.tracking import TRAINING_ID, TrainingRun, start_run
from tasks.registry.version import MODEL, Version
from tasks.store.store import open_store
from tasks.training.gathering import given_or_clips, load_for_recipe, with_features
from tasks.training.plan import TrainingPlan, plan_training, start_of, storage_of
from tasks.training.recipe_names import chosen_recipe
from tasks.training.run import Trained, alone_at, train


@dataclass(frozen=True)
class NewVersion:
    """The registered result of a training.

    Attributes:
        version: as registered.
        folder: its checkpoint.
        report: on the validation clips; None without such clips, or if it was trained before.
        trained: the course of the training; None if it was trained before.
    """

    version: Version
    folder: Path
    report: EvaluationReport | None = None
    trained: Trained | None = None


def train_version(
    labels: str,
    corpus: str,
    *,
    recipe: str = "paper",
    name: str = MODEL,
    snapshot: str | None = None,
    backbone: str | None = None,
    workers: int | None = None,
    ray_address: str | None = None,
    asr: str | None = None,
    language: str | None = None,
    features: Sequence[str] = (),
) -> tuple[NewVersion, LabelledAudio]:
    """Train a model on labelled clips and register it; the champion stays as it is.

    Args:
        labels: results store with the labels.
        corpus: folder, file or manifest with the clips.
        recipe: as `tasks.training.recipe_names` has it: ``paper_small+ccc``, ``my.py:mine``.
        name: registered model that gets a new version.
        snapshot: label snapshot, by number or id; default: the latest.
        backbone: model folder or hub id to start from in place of the recipe's own.
        workers: processes that train together; default: one, or one a GPU of one machine.
        ray_address: Ray cluster to train on, ``HOST:PORT``; None: this machine, unless
            ``RAY_ADDRESS`` names one.
        asr: ASR model that writes the text, for a model that reads; default: ``EMI_ASR``.
        language: of the speech; default: detected in each clip.
        features: that other programs computed, ``NAME=PATH``; each becomes a branch.

    Returns:
        The version, and the labelled clips that it was trained and measured on.

    Raises:
        EmiError: see `flows.train.train_model`.
    """
    chosen = chosen_recipe(recipe)
    given = given_or_clips(parse_features(features), chosen, corpus)
    chosen = with_features(chosen, given, corpus)
    with joined_cluster(ray_address):
        start = start_of(chosen, backbone)
        label_set = load_labels(labels, snapshot)
        splits = (TRAIN, VALID)
        audio = load_for_recipe(
            chosen, label_set, corpus, splits, asr, language, start, features=given
        )
        share = training_share(workers, machines())
        plan = plan_training(audio, chosen, name=name, start=start, **share)
        return new_version(plan, audio, labels), audio


def new_version(plan: TrainingPlan, audio: LabelledAudio, labels: str) -> NewVersion:
    """Return the version of a plan: train it, or find it if it was trained before.

    Raises:
        EmiError: another process is at this training; or as `tasks.training.run.train`,
            `tasks.registry.registry.register` and the results store.
    """
    storage = storage_of(plan, home())
    with alone_at(storage):  # its record in MLflow and its files too are for one process at a time
        made = _made_before(plan) or _made(plan, audio, labels, storage)
        shutil.rmtree(storage, ignore_errors=True)  # the version has its own copy of the weights
    return made


def _made_before(plan: TrainingPlan) -> NewVersion | None:
    for version in list_versions(plan.job.card.name):
        if version.tags.get(TRAINING_ID) == plan.training_id:
            return NewVersion(version, folder_of(version))
    return None


def _made(plan: TrainingPlan, audio: LabelledAudio, labels: str, storage: Path) -> NewVersion:
    name = plan.job.card.name
    with _tracked(plan, audio) as run:
        trained = _train(plan, storage, run)
        report = _evaluated(plan, trained, audio)
        number = register(name, trained.model, run.run_id, _facts(plan, audio, report))
        if report is not None:
            report.write(open_store(labels))
        _keep_plots(run, trained, report)
    (version,) = (version for version in list_versions(name) if version.number == number)
    return NewVersion(version, folder_of(version), report, trained)


def summary(made: NewVersion, audio: LabelledAudio) -> dict[str, Any]:
    """Return the result of a training as plain values."""
    trained = made.trained
    return {
        **made.version.row(),
        "reference": made.version.reference,
        "folder": str(made.folder),
        "trained_before": trained is None,
        "epoch": None if trained is None else trained.epoch,
        "num_epochs": None if trained is None else len(trained.history),
        "seconds": None if trained is None else trained.seconds,
        "num_train": len(audio.of_split(TRAIN)),
        "num_valid": len(audio.of_split(VALID)),
        "missing": dict(audio.missing),
    }


@contextmanager
def _tracked(plan: TrainingPlan, audio: LabelledAudio) -> Iterator[TrainingRun]:
    """Record a training in MLflow, and how it ends."""
    run = start_run(
        plan.training_id,
        {
            "recipe": plan.job.recipe.name,
            "snapshot": audio.labels.snapshot,
            "split_sha256": audio.labels.split_sha256,
            "num_missing": len(audio.missing),
            "commit": source_commit(),
            "versions": package_versions(),
        },
    )

    def record(error: BaseException) -> None:
        with suppress(RegistryError):  # the user has to see the error that ended the training
            run.finish("FAILED" if isinstance(error, EmiError) else "KILLED")

    try:
        with ending.recorded_by(record):
            run.log_params(plan.parameters())
            yield run
    except BaseException as error:
        record(error)
        raise
    run.finish("FINISHED")


def _train(plan: TrainingPlan, storage: Path, run: TrainingRun) -> Trained:
    num_epochs = plan.job.recipe.train.epochs
    observer().begin("starting workers", None, "")
    done, fold = 0, ""

    def report_epoch(report: EpochReport) -> None:
        nonlocal done, fold
        if not done or report.fold != fold:
            name = f"training without fold {report.fold}" if report.fold else "training"
            observer().begin(name, num_epochs, "epochs")
            done, fold = 0, report.fold
        found = "-" if report.valid_pearson is None else f"{report.valid_pearson:.3f}"
        observer().advance(
            report.epoch - done, f"· loss {report.train_loss:.4f} · mean Pearson {found} ·"
        )
        done = report.epoch
        if not report.fold:
            run.log_epoch(report.epoch, _curve(report))

    trained = train(plan.job, storage, workers=plan.workers, on_epoch=report_epoch)
    for report in trained.history:  # all: a resumed training reported its first epochs before
        run.log_epoch(report.epoch, _curve(report))
    return trained


def _curve(report: EpochReport) -> dict[str, float | None]:
    figures = {
        f"valid_pearson.{name}": found.pearson for name, found in (report.valid or {}).items()
    }
    return {
        "train_loss": report.train_loss,
        "learning_rate": report.learning_rate,
        "valid_pearson": report.valid_pearson,
        **figures,
    }


def _evaluated(
    plan: TrainingPlan, trained: Trained, audio: LabelledAudio
) -> EvaluationReport | None:
    if trained.predictions is None:
        return None
    loaded = load_checkpoint(trained.model)
    return evaluate_predictions(
        trained.predictions,
        plan.job.valid,
        model=loaded.card.name,
        model_sha256=loaded.sha256,
        targets=plan.job.targets,
        labels=audio.labels,
        split=VALID,
        missing=audio.missing,
        intervals=loaded.intervals,
        training_clips=loaded.training_clips,
        extractors=audio.extractors,
    )


def _facts(
    plan: TrainingPlan, audio: LabelledAudio, report: EvaluationReport | None
) -> dict[str, Any]:
    mean = None if report is None else report.evaluation.mean.pearson
    return {
        TRAINING_ID: plan.training_id,
        "snapshot": audio.labels.snapshot,
        "split_sha256": audio.labels.split_sha256,
        "mean_pearson": mean and mean.value,
        "mean_pearson_low": mean and mean.low,
        "mean_pearson_high": mean and mean.high,
    }


def _keep_plots(run: TrainingRun, trained: Trained, report: EvaluationReport | None) -> None:
    with TemporaryDirectory(prefix="emi-plots-") as folder:
        save_picture(curve_plot(trained.history), Path(folder) / "curve.png")
        if report is not None:
            save_picture(agreement_plot(report), Path(folder) / "agreement.png")
        run.log_folder(Path(folder), "plots")
    if report is not None:
        mean = report.evaluation.mean
        run.log_metrics({f"valid.{name}": getattr(mean, name).value for name in METRIC_NAMES})
