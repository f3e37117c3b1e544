"""`emi query`, `emi status`: what a results store holds."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from emi_model.errors import StoreError
from flows.cli.options import json_option, results_option

if TYPE_CHECKING:
    from tasks.store.query import Format


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
def query(sql: str, results: str, wanted: Format) -> None:
    """Answer one SELECT over a store's views: scores, rejections, labels, runs and others.

    `SHOW TABLES` lists them, `DESCRIBE scores` lists the columns of one.
    """
    from tasks.store.query import answer, write

    write(answer(results, sql), wanted)


@click.command()
@results_option
@json_option
def status(results: str, as_json: bool) -> None:
    """Show what a results store holds, and its latest runs."""
    from tasks.progress import remark
    from tasks.store.query import answer, stored_question, write
    from tasks.store.store import create_store, open_store

    store = open_store(results)
    with suppress(StoreError):  # it may be for reading only
        create_store(results)  # writes catalog.sql anew, for a store that was moved
    if damaged := store.num_damaged():
        remark(f"{results}: damaged parts: {damaged}")
    for question in ("status",) if as_json else ("status", "latest_runs"):
        write(answer(results, stored_question(question)), "json" if as_json else "table")
