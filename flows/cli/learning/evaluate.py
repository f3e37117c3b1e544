"""`emi evaluate`: how well a model follows labels, and with what uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flows.cli.options import (
    LOCATION,
    features_option,
    figures_option,
    json_option,
    language_option,
    model_option,
    other_labels_option,
    resolve_model_option,
    snapshot_option,
    stores_of,
)
from flows.cli.run import log_verb_to, progress_bar, write_json
from flows.display.terminal import message, terminal
from flows.display.text import say

if TYPE_CHECKING:
    from tasks.evaluation.report import EvaluationReport
    from tasks.labels.splits import Split


@click.command()
@model_option
@other_labels_option
@click.option(
    "--corpus",
    type=LOCATION,
    metavar="DIR",
    help="Folder, s3://... or manifest of the clips; of --predictions none is needed.",
)
@click.option(
    "--predictions",
    type=LOCATION,
    metavar="FILE",
    help="Somebody's numbers in place of a model: CSV or Parquet with filename and the targets.",
)
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    metavar="NUMBER",
    help="Number that stands for 1 in --predictions.",
)
@click.option(
    "--split",
    type=click.Choice(["train", "valid", "test"]),
    default="valid",
    show_default=True,
    help="Split whose clips are used.",
)
@click.option(
    "--asr",
    "asr",
    type=LOCATION,
    multiple=True,
    metavar="REF",
    help="For a model that reads: ASR model that writes the text (default: EMI_ASR); a second one "
    "shows how much the figures depend on it.",
)
@language_option
@features_option
@figures_option
@snapshot_option
@click.option(
    "--plot",
    type=LOCATION,
    metavar="FILE",
    help="Picture to draw: .png, .pdf or .svg (default: plots/ID.png in that store).",
)
@json_option
def evaluate(
    model: str | None,
    labels: str | None,
    corpus: str | None,
    predictions: str | None,
    scale: float,
    split: Split,
    asr: tuple[str, ...],
    language: str | None,
    features: list[str] | None,
    results: str | None,
    snapshot: str | None,
    plot: str | None,
    as_json: bool,
) -> None:
    """Measure how well a model follows the labels of a split.

    Pearson, CCC, MAE and RMSE of each target with bootstrap intervals over speakers, the measured
    coverage of the model's own prediction intervals, and a picture of both. With --predictions, the
    same of numbers in a file.
    """
    from emi_model.checkpoints.resolve import resolve
    from tasks.store.store import create_store, open_store

    if len(asr) > 2:
        raise click.UsageError(f"found {len(asr)} times --asr, expected two at most")
    label_store, results = stores_of(labels, results)
    if predictions is not None:
        _show(*_of_file(predictions, label_store, results, split, snapshot, plot, scale), as_json)
        return
    if corpus is None:
        raise click.UsageError("Missing option '--corpus'.")
    reference = resolve_model_option(model)
    resolve(reference)
    store = open_store(label_store) if results is None else create_store(results)
    log_verb_to(store.logs, "evaluate")

    from flows.evaluate import evaluate_model

    with progress_bar():
        found = evaluate_model(
            reference,
            label_store,
            corpus,
            split,
            results=results,
            snapshot=snapshot,
            plot=plot,
            asr=asr[0] if asr else None,
            language=language,
            other_asr=asr[1] if len(asr) == 2 else None,
            features=features,
        )
    _show(found.report, found.plot, as_json)
    if found.other is not None:
        _show_other(found.report, found.other, as_json)


def _of_file(
    path: str,
    labels: str,
    results: str | None,
    split: Split,
    snapshot: str | None,
    plot: str | None,
    scale: float,
) -> tuple[EvaluationReport, str]:
    """Evaluate the numbers in a file; returns the report and where its picture is."""
    from tasks.evaluation.kept import keep_report
    from tasks.evaluation.own_predictions import evaluate_file
    from tasks.evaluation.plots import check_picture
    from tasks.labels.label_set import load_labels
    from tasks.store.store import create_store, open_store

    if plot is not None:
        check_picture(plot)
    report = evaluate_file(path, load_labels(labels, snapshot), split, scale=scale)
    store = open_store(labels) if results is None else create_store(results)
    return report, keep_report(report, store, plot)


def _show(report: EvaluationReport, plot: str, as_json: bool) -> None:
    from flows.display.evaluation import evaluation_rows, show_evaluation, training_warning

    if not as_json:
        show_evaluation(report, plot, terminal().out)
        return
    write_json(evaluation_rows(report, plot))
    warning = training_warning(report)
    if warning is not None:
        message(warning)


def _show_other(report: EvaluationReport, other: EvaluationReport, as_json: bool) -> None:
    from flows.display.evaluation import asr_notes

    if as_json:
        write_json([*other.rows(), *other.subset_rows()])
    for line in asr_notes(report, other):
        message(line) if as_json else say(line, terminal().out)
