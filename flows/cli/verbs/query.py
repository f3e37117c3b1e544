"""`emi query`, `emi status`: what a results store holds."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import click
from click.core import ParameterSource

from emi_model.errors import StoreError
from flows.cli.options import LOCATION, json_option, results_option
from flows.cli.run import write_json

if TYPE_CHECKING:
    from tasks.storage.formats import FileFormat


@click.command()
@click.argument("sql")
@results_option
@click.option(
    "--format",
    "wanted",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
    help="json: one object a line; parquet goes to stdout.",
)
@click.option(
    "--output",
    type=LOCATION,
    metavar="FILE",
    help="Write the answer to a file; its suffix is the format: .csv, .json, .jsonl, .parquet.",
)
@click.option(
    "--excel",
    is_flag=True,
    help="CSV that Excel opens: byte order mark, semicolons, decimals as your locale has them.",
)
@click.option(
    "--with",
    "beside",
    multiple=True,
    metavar="NAME=FILE",
    help="A table of your own, CSV or Parquet, to join with; may be repeated.",
)
@click.pass_context
def query(
    context: click.Context,
    sql: str,
    results: str,
    wanted: Literal["table"] | FileFormat,
    output: str | None,
    excel: bool,
    beside: tuple[str, ...],
) -> None:
    """Answer one SELECT over a store's views: scores, rejections, labels, runs and others.

    `SHOW TABLES` lists them, `DESCRIBE scores` lists the columns of one; `FROM
    clips_saying('thank you')` finds words in the transcripts. A question takes at most a quarter of
    the machine's memory, its answer another.
    """
    from flows.display.answers import show_answer
    from tasks.storage.own_tables import read_own_tables
    from tasks.store.query import answer, write, write_file
    from tasks.store.views import VIEWS

    named = context.get_parameter_source("wanted") is not ParameterSource.DEFAULT
    if excel and named and wanted != "csv":
        raise click.UsageError(f"--excel writes CSV, not {wanted}: leave --format out")
    found = answer(results, sql, read_own_tables(beside, VIEWS))
    if output is not None:
        write_file(found, output, "excel" if excel else wanted if named else None)
    elif excel or wanted != "table":
        write(found, "excel" if excel or wanted == "table" else wanted)
    else:
        show_answer(found, sys.stdout)


@click.command()
@results_option
@json_option
def status(results: str, as_json: bool) -> None:
    """Show what a results store holds: what `scores` shows, its warnings, and the latest runs.

    With --json, objects of `table` scores (by model and coverage), transcripts, runs.
    """
    from flows.display.status import show_status
    from tasks.progress import remark
    from tasks.storage.formats import plain_rows
    from tasks.store.query import answer, stored_question
    from tasks.store.store import create_store, open_store

    store = open_store(results)
    with suppress(StoreError):  # it may be for reading only
        create_store(results)  # writes catalog.sql anew, for a store that was moved
    if damaged := store.num_damaged():
        remark(f"{results}: damaged parts: {damaged}")
    contents = answer(results, stored_question("status"))
    transcribed = answer(results, stored_question("transcribed"))
    runs = answer(results, stored_question("latest_runs"))
    if as_json:
        for table, rows in (("scores", contents), ("transcripts", transcribed), ("runs", runs)):
            write_json({"table": table, **row} for row in plain_rows(rows))
        return
    show_status(contents.to_pylist(), transcribed.to_pylist(), runs.to_pylist(), sys.stdout)
