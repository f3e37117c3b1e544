"""Rows of any columns on a terminal: narrow tables that fit its width, whatever the question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.display.tables import ABSENT, console_on
from flows.display.text import printable

if TYPE_CHECKING:
    import pyarrow as pa

MAX_ROWS = 100
"""Rows of an answer that are shown; the other formats of `emi query` give all."""

MAX_TEXT = 32
"""Characters after which a text is wrapped where a table would not fit otherwise."""

_GAP = 2
"""Blanks between two columns."""


def show_answer(found: pa.Table, out: TextIO) -> None:
    """Write the answer to a question: as one table, or in blocks of columns below each other."""
    from tasks.storage.formats import plain_rows  # it loads pyarrow

    rows = list(plain_rows(found.slice(0, MAX_ROWS)))
    console = console_on(out)
    if not rows:
        console.print(f"no rows; columns: {', '.join(found.schema.names)}")
        return
    show_rows(found.schema.names, [list(row.values()) for row in rows], console)
    if found.num_rows > MAX_ROWS:
        console.print(f"the first {MAX_ROWS} of {found.num_rows} rows; --format csv gives all")


def show_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], console: Console) -> None:
    """Write rows as a table; what does not fit the width goes into further blocks of columns.

    Every block begins with the first column. Long texts are wrapped before a block is begun; of a
    single row that does not fit, each column gets a line.
    """
    columns = [printable(name) for name in columns]
    cells = [[cell(value) for value in row] for row in rows]
    is_number = [all(map(_is_number, values)) for values in zip(*rows, strict=True)]
    lengths = [max(map(cell_len, texts)) for texts in zip(columns, *cells, strict=True)]
    if _total(lengths) > console.width and len(rows) == 1:
        lines = list(zip(columns, cells[0], strict=True))
        console.print(_table(("column", "value"), lines, (False, False)))
        return
    if _total(lengths) > console.width:
        lengths = [min(length, MAX_TEXT) for length in lengths]
    for number, block in enumerate(_blocks(lengths, console.width)):
        if number:
            console.print()
        picked = [[texts[place] for place in block] for texts in cells]
        numbers = [is_number[place] for place in block]
        console.print(_table([columns[place] for place in block], picked, numbers))


def cell(value: Any) -> str:
    """Return a value as text: three decimals, times to the second, lists with commas."""
    if value is None:
        return ABSENT
    if isinstance(value, (float, Decimal)):
        return _decimals(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return _pairs(value.items())
    if isinstance(value, list):
        is_map = bool(value) and all(isinstance(item, tuple) for item in value)
        return _pairs(value) if is_map else ", ".join(map(cell, value))
    return printable(str(value))


def _decimals(value: float | Decimal) -> str:
    if value == 0 or 0.0005 <= abs(float(value)) < 1e9:
        whole = isinstance(value, Decimal) and value == value.to_integral_value()
        return str(int(value)) if whole else f"{value:.3f}"
    return f"{value:.3g}"


def _pairs(items: Iterable[tuple[Any, Any]]) -> str:
    return ", ".join(f"{cell(name)}: {cell(value)}" for name, value in items)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float, Decimal)) and value is not True)


def _total(lengths: Sequence[int]) -> int:
    return sum(lengths) + _GAP * (len(lengths) - 1)


def _blocks(lengths: Sequence[int], width: int) -> list[list[int]]:
    """Return the numbers of the columns in each block."""
    blocks = [[0]]
    for place in range(1, len(lengths)):
        block = [*blocks[-1], place]
        if len(blocks[-1]) > 1 and _total([lengths[one] for one in block]) > width:
            blocks.append([0, place])
        else:
            blocks[-1] = block
    return blocks


def _table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], is_number: Sequence[bool]
) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name, number in zip(columns, is_number, strict=True):
        table.add_column(Text(name), justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
