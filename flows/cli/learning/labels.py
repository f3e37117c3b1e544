"""`emi labels`: the labels of a corpus, checked and kept as snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from flows.cli.options import LOCATION, RESULTS_VARIABLE, corpus_option, json_option
from flows.cli.run import write_json
from flows.display.terminal import terminal
from flows.display.text import say
from flows.server.events import labels_added

if TYPE_CHECKING:
    from tasks.labels.add_labels import AddReport

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
_share = click.FloatRange(min=0, max=1, max_open=True)


@click.group()
def labels() -> None:
    """Add label files to a store, and list what it holds."""


@labels.command()
@click.argument("file", type=LOCATION)
@_store
@corpus_option
@click.option(
    "--valid-share",
    type=_share,
    default=0.2,
    show_default=True,
    help="Share of clips for validation, where FILE gives no split.",
)
@click.option(
    "--test-share",
    type=_share,
    default=0.0,
    show_default=True,
    help="Share of clips for testing, where FILE gives no split.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Random seed of the splits.")
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
    a label that is missing. Clips without a split get one; a speaker is never in two.
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
    say(_message(report))
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


def _message(report: AddReport) -> str:
    splits = ", ".join(f"{count} {split}" for split, count in report.clips_by_split.items())
    if report.snapshot is None:
        lines = [
            f"nothing new: snapshot {report.number} has these labels of all "
            f"{report.num_unchanged} clips"
        ]
    else:
        lines = [
            f"snapshot {report.number} ({report.snapshot[:12]}): {report.num_added} clips added, "
            f"{report.num_corrected} corrected, {report.num_unchanged} unchanged"
        ]
    lines += report.notes
    lines.append(f"labelled in all: {splits}; targets: {', '.join(report.targets)}")
    if report.num_without_labels:
        lines.append(f"{report.num_without_labels} clips of the corpus have no label yet")
    return "\n".join(lines)
