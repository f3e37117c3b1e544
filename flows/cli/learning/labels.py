"""`emi labels`: the labels of a corpus, checked and kept as snapshots."""

from __future__ import annotations

from typing import Any

import click

from flows.cli.learning.datasets import import_dataset, list_layouts
from flows.cli.learning.label_text import report_text
from flows.cli.options import (
    LOCATION,
    RESULTS_VARIABLE,
    corpus_option,
    json_option,
    split_seed_option,
    test_share_option,
    valid_share_option,
)
from flows.cli.run import write_json
from flows.display.terminal import terminal
from flows.display.text import say
from flows.server.events import labels_added

_store = click.option(
    "--results",
    "--store",
    "--labels",
    "store",
    type=LOCATION,
    required=True,
    envvar=RESULTS_VARIABLE,
    metavar="DIR",
    help="Results store that keeps the labels: a folder, or s3://...",
)


@click.group()
def labels() -> None:
    """Add label files to a store, and list what it holds."""


@labels.command()
@click.argument("file", type=LOCATION)
@_store
@corpus_option
@valid_share_option
@test_share_option
@split_seed_option
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    help="Column that is a target, may be repeated (default: every column that is nothing else).",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="NAME",
    help="Column to leave out (notes, raters' names), may be repeated.",
)
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    metavar="NUMBER",
    help="Number that stands for 1: 100 for labels from 0 to 100.",
)
@click.option(
    "--speaker-from",
    metavar="PATTERN",
    help="Where a path has its speaker: '{speaker}' its first folder, '*/{speaker}_*', ...",
)
def add(
    file: str,
    store: str,
    corpus: str,
    valid_share: float,
    test_share: float,
    seed: int,
    targets: tuple[str, ...],
    **reading: Any,
) -> None:
    """Check the labels in FILE and keep them as a new snapshot, whole or not at all.

    FILE is CSV or Parquet: a column filename, a column of numbers from 0 to 1 a target, and
    optionally speaker, split (train, valid, test) and arousal, dominance, valence. An empty cell is
    a label that is missing. Clips without a split get one; a speaker is never in two. Or FILE is
    what Label Studio exports as JSON.
    """
    from flows.display.tables import ProgressBar
    from tasks.labels.add_labels import add_labels
    from tasks.labels.splits import Shares

    with ProgressBar(terminal().err) as bar:
        bar.begin("reading clips", None, "clips")
        report = add_labels(
            store,
            file,
            corpus,
            shares=Shares(valid_share, test_share),
            seed=seed,
            targets=targets,
            on_progress=bar.reached,
            **reading,
        )
    say(report_text(report))
    if report.snapshot is not None:
        labels_added(store, corpus, report.snapshot, report.number)


@labels.command("list")
@_store
@json_option
def list_snapshots(store: str, as_json: bool) -> None:
    """List the snapshots of a store; the clips are all that were labelled by then."""
    from flows.display.tables import plain_table, show
    from tasks.labels.add_labels import describe_snapshots

    rows = describe_snapshots(store)
    if as_json:
        write_json(rows)
        return
    columns = ["number", "snapshot", "parent", "train", "valid", "test", "targets", "added_at"]
    cells = [
        [
            row["number"],
            row["snapshot"][:12],
            (row["parent"] or "-")[:12],
            *row["clips_by_split"].values(),
            ", ".join(row["targets"]),
            f"{row['added_at']:%Y-%m-%d %H:%M}",
        ]
        for row in rows
    ]
    show(plain_table(columns, cells), terminal().out)


for _command in (import_dataset, list_layouts):
    labels.add_command(_command)
