"""`emi ablate`: how much each part of the model adds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from emi_model.errors import EXIT_USAGE
from flows.cli.options import (
    LOCATION,
    asr_option,
    corpus_option,
    figures_option,
    json_option,
    language_option,
    other_labels_option,
    ray_option,
    recipe_option,
    snapshot_option,
    stores_of,
    wheel_option,
)
from flows.cli.run import log_verb_to, progress_bar, write_json
from flows.display.terminal import message, terminal
from flows.display.text import say

if TYPE_CHECKING:
    from tasks.ablation.report import AblationReport


@click.command()
@other_labels_option
@corpus_option
@recipe_option
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="Trainings of each cell: the recipe's seed and those after it.",
)
@click.option(
    "--backbone",
    "backbones",
    multiple=True,
    type=LOCATION,
    metavar="REF",
    help="Another wav2vec2 model as a row of its own, may be repeated: folder or hub id.",
)
@click.option(
    "--start-from",
    type=LOCATION,
    metavar="REF",
    help="Model to start every cell from, in place of the recipe's own backbone.",
)
@figures_option
@click.option(
    "--out",
    type=LOCATION,
    metavar="DIR",
    help="Folder of the report (default: reports/ablation-... in the results store).",
)
@snapshot_option
@asr_option
@language_option
@ray_option
@wheel_option
@json_option
def ablate(
    labels: str | None,
    results: str | None,
    out: str | None,
    backbones: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Train a recipe whole and with each part switched off, and compare.

    The rows of the paper's Table 2: global vector, regression head, LSTM, VAD head, and any other
    backbones. Run it again at any time: it does what is missing; more seeds add to it.
    """
    from tasks.store.store import create_store, open_store

    label_store, results = stores_of(labels, results)
    open_store(label_store)
    store = create_store(results or label_store)
    log_verb_to(store.logs, "ablate")

    from flows.ablate import ablate as run

    with progress_bar():
        found = run(
            label_store,
            results=store.location,
            out=out,
            backbones=list(backbones),
            **options,
        )
    _show(found["report"], found["folder"], as_json=as_json)
    for failure, reason in found["failed"].items():
        message(f"{failure.cell}, seed {failure.seed} failed: {reason}")
    if found["failed"]:
        sys.exit(EXIT_USAGE)


def _show(report: AblationReport, folder: str, *, as_json: bool) -> None:
    from rich.table import Column, Table

    from flows.display.tables import show
    from tasks.ablation.summary import report_table

    out = terminal().out
    if as_json:
        write_json(report_table(report.ablation, report.summaries).to_pylist())
        return
    cell, *others = report.columns()
    table = Table(Column(cell, overflow="fold"), *others)
    for line in report.cells():
        table.add_row(*line)
    show(table, out)
    for note in report.notes():
        say(note, out)
    say(f"report: {folder}", out)
