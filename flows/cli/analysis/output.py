"""Where an answer goes: options that the verbs which answer share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from flows.cli.options import LOCATION

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.storage.formats import FileFormat

_format_option = click.option(
    "--format",
    "wanted",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
    help="json: one object a line; parquet goes to stdout.",
)
_output_option = click.option(
    "--output",
    type=LOCATION,
    metavar="FILE",
    help="Write the answer to a file; its suffix is the format: .csv, .json, .jsonl, .parquet.",
)
_excel_option = click.option(
    "--excel",
    is_flag=True,
    help="CSV that Excel opens: byte order mark, semicolons, decimals as your locale has them.",
)


@dataclass(frozen=True)
class Output:
    """What the user said of an answer's form and place.

    Attributes:
        wanted: the form.
        is_named: whether the user named it.
        file: to be written; None: standard output.
        excel: whether it is CSV that Excel opens.
    """

    wanted: Literal["table"] | FileFormat
    is_named: bool
    file: str | None
    excel: bool

    def form(self) -> Literal["table"] | FileFormat | None:
        """Return the form that the user named; None if none was."""
        return "excel" if self.excel else self.wanted if self.is_named else None


def answer_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Decorator: add --format, --output and --excel, which the verb gets as ``output``."""

    @wraps(verb)
    def with_output(
        wanted: Literal["table"] | FileFormat, output: str | None, excel: bool, **others: Any
    ) -> None:
        source = click.get_current_context().get_parameter_source("wanted")
        named = source is not ParameterSource.DEFAULT
        if excel and named and wanted != "csv":
            raise click.UsageError(f"--excel writes CSV, not {wanted}: leave --format out")
        verb(output=Output(wanted, named, output, excel), **others)

    return _format_option(_output_option(_excel_option(with_output)))


def write_select(
    results: str, sql: str, output: Output, own: Mapping[str, pa.Table] | None = None
) -> bool:
    """Write the answer to one SELECT to where it is wanted; False if it is to be a table.

    Raises:
        QueryError: the SELECT is wrong, no such format, or the file cannot be written.
    """
    from tasks.asking.written_answers import write_answer
    from tasks.store.query import file_format

    form = output.form()
    if output.file is not None:
        write_answer(results, sql, file_format(output.file, form), output.file, own)
    elif form is not None and form != "table":
        write_answer(results, sql, form, None, own)
    else:
        return False
    return True


def put_answer(found: pa.Table, output: Output) -> bool:
    """Write an answer to where it is wanted; False if it is to be shown as a table.

    Raises:
        QueryError: no such format, or the file cannot be written.
    """
    from tasks.store.query import write, write_file

    if output.file is not None:
        write_file(found, output.file, output.form())
    elif output.excel:
        write(found, "excel")
    elif output.wanted != "table":
        write(found, output.wanted)
    else:
        return False
    return True
