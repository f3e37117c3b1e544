"""`emi evaluate`: how well a model follows labels, and with what uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flows.cli.options import (
    LOCATION,
    corpus_option,
    figures_option,
    json_option,
    model_option,
    other_labels_option,
    resolve_model_option,
    snapshot_option,
    stores_of,
)
from flows.cli.run import log_verb_to, progress_bar, write_json
from flows.display.terminal import message, terminal

if TYPE_CHECKING:
    from tasks.labels.splits import Split


@click.command()
@model_option
@other_labels_option
@corpus_option
@click.option(
    "--split",
    type=click.Choice(["train", "valid", "test"]),
    default="valid",
    show_default=True,
    help="Split whose clips are used.",
)
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
    corpus: str,
    split: Split,
    results: str | None,
    snapshot: str | None,
    plot: str | None,
    as_json: bool,
) -> None:
    """Measure how well a model follows the labels of a split.

    Pearson, CCC, MAE and RMSE of each target with bootstrap intervals over speakers, the measured
    coverage of the model's own prediction intervals, and a picture of both.
    """
    from emi_model.checkpoints.resolve import resolve
    from tasks.store.store import create_store, open_store

    label_store, results = stores_of(labels, results)
    reference = resolve_model_option(model)
    resolve(reference)
    store = open_store(label_store) if results is None else create_store(results)
    log_verb_to(store.logs, "evaluate")

    from flows.display.evaluation import evaluation_rows, show_evaluation, training_warning
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
        )
    if as_json:
        write_json(evaluation_rows(found.report, found.plot))
        warning = training_warning(found.report)
        if warning is not None:
            message(warning)
    else:
        show_evaluation(found.report, found.plot, terminal().out)
