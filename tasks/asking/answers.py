"""What is asked of a store, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import pyarrow as pa


@dataclass(frozen=True)
class Wishes:
    """The options of a question; each question takes some of them.

    Attributes:
        where: SQL, a condition on the columns of the view clips; only clips that meet it count.
        by: column of clips: an answer for each of its values.
        within: column of clips that names persons, each of whom is compared with themselves.
        columns: columns of clips that the question is about.
        ratings: file of single ratings.
    """

    where: str | None = None
    by: str | None = None
    within: str | None = None
    columns: tuple[str, ...] = ()
    ratings: str | None = None

    def given(self) -> list[str]:
        """Return the names of the options that were given."""
        return [field.name for field in fields(self) if getattr(self, field.name)]


@dataclass(frozen=True, eq=False)
class Answer:
    """An answer.

    Attributes:
        tables: by name; a question in SQL has one, named as the question.
        sentences: what the tables say, as far as words can.
        warnings: what the tables cannot say for sure, and why.
    """

    tables: Mapping[str, pa.Table]
    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def one_table(self) -> pa.Table:
        """Return all rows as one table; of several, a first column names the row's table."""
        if len(self.tables) == 1:
            return next(iter(self.tables.values()))
        named = [
            table.add_column(0, "table", pa.array([name] * table.num_rows, pa.string()))
            for name, table in self.tables.items()
        ]
        return pa.concat_tables(named, promote_options="permissive")
