"""Tables of one's own beside a store's views: CSV or Parquet files in a question."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from emi_model.errors import QueryError
from tasks.storage.open import open_file
from tasks.storage.table_file import read_table_file

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ID = re.compile(r"[+-]?0\d+|.*\d_\d.*")  # to Python 1_2 is the number 12


def read_own_tables(named: Iterable[str], taken: Iterable[str]) -> dict[str, pa.Table]:
    """Return tables by the names that a question has for them.

    Args:
        named: ``NAME=FILE`` each.
        taken: names of the store's views.

    Raises:
        QueryError: a name that is none, or taken; a file that cannot be read.
    """
    tables: dict[str, pa.Table] = {}
    for text in named:
        name, separator, file = text.partition("=")
        if not separator or not file or not _NAME.fullmatch(name):
            raise QueryError(
                f"found {text!r}, expected NAME=FILE, the name of letters, digits and _"
            )
        if name.lower() in {*taken, *map(str.lower, tables)}:
            raise QueryError(f"there is a table {name} already: choose another name for {file}")
        tables[name] = _read(file)
    return tables


def _read(file: str) -> pa.Table:
    """Return a file's table; a CSV's columns are numbers where all of their cells are."""
    try:
        file = str(Path(file).expanduser()) if file.startswith("~") else file
        folder, name = open_file(file)
        if name.lower().endswith(".parquet"):
            return pq.read_table(pa.BufferReader(folder.read(name)))
        found = read_table_file(file)
    except (OSError, ValueError) as error:  # Arrow's errors are ValueErrors
        raise QueryError(f"cannot read the table {file}: {error}") from error
    for line, cells in found.rows:
        if len(cells) != len(found.header):
            raise QueryError(
                f"{file}: line {line} has {len(cells)} cells, expected {len(found.header)}"
            )
    columns = zip(*(cells for _, cells in found.rows), strict=True)
    arrays = [typed_column(cells) for cells in columns] or [pa.array([], pa.string())] * len(
        found.header
    )
    return pa.table(arrays, names=[name.strip() for name in found.header])


def typed_column(cells: Iterable[str]) -> pa.Array:
    """Return text as whole numbers, numbers or text; ids stay text.

    Those are: 00012, 1_2, and what has more digits than 64 bits hold.
    """
    texts = [cell.strip() or None for cell in cells]
    if not any(_ID.fullmatch(text) for text in texts if text):
        kinds: tuple[Callable[[str], int | float], ...] = (int, _number)
        for kind in kinds:
            try:
                return pa.array([None if text is None else kind(text) for text in texts])
            except OverflowError:
                break
            except (ValueError, pa.ArrowException):
                continue
    return pa.array(texts, pa.string())


def _number(text: str) -> float:
    return float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
