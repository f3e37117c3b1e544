"""`emi metadata`: what a study knows of its clips and speakers, beside their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flows.cli.options import LOCATION, RESULTS_VARIABLE, json_option
from flows.cli.run import write_json
from flows.display.terminal import terminal
from flows.display.text import say

if TYPE_CHECKING:
    from tasks.metadata.add_metadata import AddedMetadata

_store = click.option(
    "--results",
    "--store",
    "store",
    type=LOCATION,
    required=True,
    envvar=RESULTS_VARIABLE,
    metavar="DIR",
    help="Results store that keeps the metadata: a folder, or s3://... (default: EMI_RESULTS).",
)


@click.group()
def metadata() -> None:
    """Join questionnaires, conditions, sites to the scores, by clip or speaker."""


@metadata.command()
@click.argument("file", type=LOCATION)
@_store
@click.option(
    "--key",
    metavar="KEY",
    help="What a row is of: clip_id or speaker, with another column's name speaker=participant "
    "(default: as the file has a column clip_id, filename or speaker).",
)
@click.option(
    "--ignore", multiple=True, metavar="NAME", help="Column to leave out, may be repeated."
)
def add(file: str, store: str, key: str | None, ignore: tuple[str, ...]) -> None:
    """Check the table in FILE and keep it as a new version, whole or not at all.

    \b
    emi metadata add questionnaire.csv --key speaker=participant --results results
    emi ask groups --by condition --results results

    FILE is CSV or Parquet, on a disk or in a bucket. The view clips shows its columns beside the
    scores. A later file corrects its own columns of its own rows, and leaves the others.
    """
    from tasks.metadata.add_metadata import add_metadata

    say(_report(add_metadata(store, file, key, ignore=ignore)))


@metadata.command()
@click.argument("pattern")
@_store
def speakers(pattern: str, store: str) -> None:
    """Take the speaker of every clip of a store from its path.

    \b
    emi metadata speakers '{speaker}/*'            the first folder
    emi metadata speakers 'session*/{speaker}_*'   before _ in the second part
    """
    from tasks.metadata.add_metadata import add_speakers

    say(_report(add_speakers(store, pattern)))


@metadata.command("list")
@_store
@json_option
def list_versions(store: str, as_json: bool) -> None:
    """List the versions of a store's metadata; the last one of each kind counts."""
    from flows.display.tables import plain_table, show
    from tasks.metadata.versions import all_metadata_versions

    rows = all_metadata_versions(store)
    if as_json:
        write_json(rows)
        return
    names = ["of", "number", "num_rows", "columns", "file", "added_at"]
    cells = [
        [
            *(row["of"], row["number"], row["num_rows"], ", ".join(row["columns"]), row["file"]),
            f"{row['added_at']:%Y-%m-%d %H:%M}",
        ]
        for row in rows
    ]
    show(plain_table(names, cells), terminal().out)


def _report(report: AddedMetadata) -> str:
    """Return what adding a file did, in words."""
    version = f"version {report.number} of the metadata of {report.of}"
    lines = [
        f"{version}: {report.num_rows} {report.of} of the file"
        if report.is_new
        else f"nothing new: {version} knows all of the {report.num_rows} {report.of}"
    ]
    lines += report.notes
    lines.append(
        f"columns: {', '.join(report.columns)}; {report.num_joined} of {report.num_clips} clips "
        "have them"
    )
    if report.is_new:
        lines.append("ask with them: `emi ask groups --by COLUMN`, `emi ask top_clips --where SQL`")
    return "\n".join(lines)
