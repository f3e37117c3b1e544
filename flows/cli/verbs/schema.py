"""`emi schema`: the tables of a results store and the meaning of their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flows.cli.options import json_option
from flows.cli.run import write_json
from flows.display.terminal import terminal
from flows.display.text import say

if TYPE_CHECKING:
    from rich.table import Table

    from tasks.schema.dictionary import TableEntry


@click.command()
@click.argument("table", required=False)
@json_option
def schema(table: str | None, as_json: bool) -> None:
    """Explain the columns of TABLE: type, unit, meaning, values; without TABLE list the tables.

    With --json a Frictionless Table Schema; without TABLE one line a table, its schema inside.
    """
    from flows.display.tables import plain_table, show
    from tasks.schema.dictionary import table_named, tables

    if table is not None:
        entry = table_named(table)
        if as_json:
            write_json([entry.table_schema()])
            return
        say(f"{entry.name}: a row is {entry.row}")
        show(_columns(entry), terminal().out)
    elif as_json:
        write_json(
            {"name": entry.name, "description": entry.row, "schema": entry.table_schema()}
            for entry in tables()
        )
    else:
        rows = [(entry.name, len(entry.columns), entry.row) for entry in tables()]
        show(plain_table(["table", "columns", "a row is"], rows), terminal().out)


def _columns(entry: TableEntry) -> Table:
    from rich.table import Column, Table

    table = Table(Column("column", overflow="fold"), "type", "unit", "meaning")
    for column in entry.columns:
        meaning = column.meaning
        if column.allowed:
            meaning += f"; one of {', '.join(column.allowed)}"
        if column.nullable and "null" not in meaning:
            meaning += "; may be null"
        table.add_row(column.name, column.kind, column.unit, meaning)
    return table
