"""`emi query`, `emi status`: what a results store holds."""

from __future__ import annotations

import sys
from contextlib import suppress

import click

from emi_model.errors import StoreError
from flows.cli.analysis.output import Output, answer_options, write_select
from flows.cli.options import json_option, results_option
from flows.cli.run import write_json


@click.command()
@click.argument("sql")
@results_option
@answer_options
@click.option(
    "--with",
    "beside",
    multiple=True,
    metavar="NAME=FILE",
    help="A table of your own, CSV or Parquet, to join with; may be repeated.",
)
def query(sql: str, results: str, output: Output, beside: tuple[str, ...]) -> None:
    """Answer one SELECT over a store's views: scores, rejections, labels, runs and others.

    `SHOW TABLES` lists them, `DESCRIBE scores` lists the columns of one; `FROM
    clips_saying('thank you')` finds words in the transcripts. A question takes at most a quarter of
    the machine's memory, an answer on the terminal another; one in a file may be of any size.
    """
    from flows.display.answers import show_answer
    from tasks.storage.own_tables import read_own_tables
    from tasks.store.query import answer
    from tasks.store.views import VIEWS

    own = read_own_tables(beside, VIEWS)
    if not write_select(results, sql, output, own):
        show_answer(answer(results, sql, own), sys.stdout)


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
    from tasks.store.query import ask_together, stored_question
    from tasks.store.store import create_store, open_store
    from tasks.store.views import views_read

    store = open_store(results)
    with suppress(StoreError):  # it may be for reading only
        create_store(results)  # writes catalog.sql anew, for a store that was moved
    if damaged := store.num_damaged():
        remark(f"{results}: damaged parts: {damaged}")
    asked = [stored_question(name) for name in ("status", "transcribed", "latest_runs")]
    contents, transcribed, runs = ask_together(
        results,
        {view for sql in asked for view in views_read(sql)},
        lambda ask: [ask(sql, {}) for sql in asked],
    )
    if as_json:
        for table, rows in (("scores", contents), ("transcripts", transcribed), ("runs", runs)):
            write_json({"table": table, **row} for row in plain_rows(rows))
        return
    show_status(contents.to_pylist(), transcribed.to_pylist(), runs.to_pylist(), sys.stdout)
