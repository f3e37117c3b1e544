"""`emi labels import` and `emi labels layouts`: labels of published data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.cli.learning.label_text import report_text
from flows.cli.options import (
    LOCAL_PATH,
    LOCATION,
    RESULTS_VARIABLE,
    json_option,
    split_seed_option,
    test_share_option,
    valid_share_option,
)
from flows.cli.run import write_json
from flows.display.terminal import terminal
from flows.display.text import say
from flows.server.events import labels_added

if TYPE_CHECKING:
    from tasks.datasets.importing import Imported


@click.command("import")
@click.argument("layout")
@click.argument("folder", type=LOCAL_PATH)
@click.option(
    "--results",
    type=LOCATION,
    envvar=RESULTS_VARIABLE,
    metavar="DIR",
    help="Results store that keeps the labels: a folder, or s3://... (default: EMI_RESULTS).",
)
@click.option(
    "--write",
    type=LOCAL_PATH,
    metavar="FILE.csv",
    help="Write the label table as a file, too; without --results no media need be there.",
)
@click.option(
    "--corpus",
    type=LOCATION,
    metavar="DIR",
    help="Folder of the clips, if it is not FOLDER, or only those of one kind are meant.",
)
@click.option(
    "--cut",
    type=LOCAL_PATH,
    metavar="DIR",
    help="Labels over time: cut the recordings into windows, each a clip of this folder.",
)
@click.option(
    "--window-seconds",
    type=click.IntRange(min=1, max=60),
    default=4,
    show_default=True,
    help="Length of these windows; with 1, labels stay at one a second.",
)
@click.option(
    "--frame-rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="HZ",
    help="Frames a second of labels by frame, where no recordings are there to say it.",
)
@click.option(
    "--allow-missing", is_flag=True, help="Leave out labelled clips whose media are not there."
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    help="Target to keep, may be repeated (default: all); what the data set lacks stays empty.",
)
@valid_share_option
@test_share_option
@split_seed_option
def import_dataset(
    layout: str,
    folder: Path,
    results: str | None,
    write: Path | None,
    corpus: str | None,
    cut: Path | None,
    valid_share: float,
    test_share: float,
    **options: Any,
) -> None:
    """Read the labels and splits of a published data set that lies in FOLDER.

    LAYOUT is its name, as `emi labels layouts` lists them; that also says what must be in FOLDER
    and where to ask for the data. Official splits are kept; else speakers are drawn.
    """
    from flows.display.tables import ProgressBar
    from tasks.datasets.importing import Wanted, import_labels
    from tasks.labels.splits import Shares

    with ProgressBar(terminal().err) as bar:
        bar.begin("reading clips", None, "clips")
        found = import_labels(
            layout,
            folder,
            results=results,
            corpus=corpus,
            write=write,
            cut=cut,
            wanted=Wanted(shares=Shares(valid_share, test_share), **options),
            on_progress=bar.reached,
        )
    say("\n".join(_lines(found, write)))
    if found.report is not None and found.report.snapshot is not None and results is not None:
        labels_added(results, found.corpus, found.report.snapshot, found.report.number)


@click.command("layouts")
@json_option
def list_layouts(as_json: bool) -> None:
    """List the published layouts that `emi labels import` reads."""
    from flows.display.tables import plain_table, show
    from tasks.datasets.registry import LAYOUTS

    columns = ("name", "title", "targets", "split", "files", "ask")
    rows = [{name: getattr(layout, name) for name in columns} for layout in LAYOUTS.values()]
    if as_json:
        write_json(rows)
        return
    cells = [[row["name"], row["files"], row["split"], row["ask"]] for row in rows]
    show(plain_table(["layout", "in the folder", "splits", "where to ask"], cells), terminal().out)


def _lines(found: Imported, write: Path | None) -> list[str]:
    lines = [] if write is None else [f"{found.num_clips} labelled clips written to {write}"]
    lines += found.notes
    if found.report is not None:
        lines += [report_text(found.report), f"the clips: --corpus {found.corpus}"]
    return lines
