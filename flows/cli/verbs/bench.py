"""`emi bench`: how fast this machine scores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkstemp
from typing import TYPE_CHECKING

import click

from emi_model.errors import EmiError
from flows.cli.options import LOCATION, json_option, precision_option, resolve_model_option
from flows.cli.run import log_to, progress_bar, write_json
from flows.display.terminal import terminal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from emi_model.architecture.config import Precision

BENCH_PREFIX = "emi-bench-"
"""Of the names of the folder and the log in the temporary folder."""


@click.command()
@click.option(
    "--model",
    type=LOCATION,
    metavar="REF",
    help="Model folder, hub id, or models:/NAME@champion (default: the full-size model with random "
    "weights, also if EMI_MODEL is set: speed does not depend on weights).",
)
@precision_option
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.1, max=3600),
    default=20.0,
    show_default=True,
    metavar="S",
    help="Measure the model alone for about this long.",
)
@click.option(
    "--whole-job/--no-whole-job",
    default=True,
    show_default=True,
    help="Also run the real flow, on a corpus made for it.",
)
@click.option(
    "--clips",
    "num_clips",
    type=click.IntRange(min=1),
    metavar="N",
    help="Clips of that corpus (default: a minute's work for the model alone, 128 to 8192).",
)
@json_option
def bench(
    model: str | None,
    precision: Precision,
    seconds: float,
    whole_job: bool,
    num_clips: int | None,
    as_json: bool,
) -> None:
    """Measure how fast this machine scores, and what share of its peak that is.

    The fastest product of matrices; one clip a call in float32, the plain way; the model alone in
    blocks of clips; and the whole job, from files to committed rows, over the model alone. Clips
    last as long as the challenge's and hold noise. Nothing is kept.
    """
    if num_clips and not whole_job:
        raise click.UsageError("--clips is of the whole job: leave it out, or --no-whole-job")
    from emi_model.checkpoints.resolve import resolve

    reference = None if model is None else resolve_model_option(model)
    if reference is not None:
        resolve(reference)
    with _message_if_interrupted(), _temporary_folder(needs_log=whole_job) as folder:
        from flows.bench import run_bench

        with progress_bar():
            found = run_bench(
                reference,
                folder,
                precision=precision,
                seconds=seconds,
                whole_job=whole_job,
                num_clips=num_clips,
            )
    _write(found.to_dict(), found.rows(), as_json=as_json)


@contextmanager
def _message_if_interrupted() -> Iterator[None]:
    """End at Ctrl-C with a message of this verb's own: no work is kept to go on from."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt("nothing is kept") from interrupt


@contextmanager
def _temporary_folder(*, needs_log: bool) -> Iterator[Path]:
    """Yield a folder that is deleted afterwards; the log stays only after an error of ours."""
    log = _log_to_temporary_file() if needs_log else None
    try:
        with TemporaryDirectory(prefix=BENCH_PREFIX, ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except Exception as error:
        if not isinstance(error, EmiError):
            log = None  # the traceback is written to it: keep it for the report
        raise
    finally:
        if log is not None:
            log.unlink(missing_ok=True)


def _log_to_temporary_file() -> Path:
    """Send what Ray and Prefect write to a new log file; return it."""
    descriptor, name = mkstemp(prefix=BENCH_PREFIX, suffix=".log")
    os.close(descriptor)
    log_to(Path(name))
    return Path(name)


def _write(found: Mapping[str, Any], rows: list[tuple[str, str]], *, as_json: bool) -> None:
    if as_json:
        write_json([found])
        return
    from flows.display.tables import plain_table, show

    show(plain_table(["figure", "measured"], rows), terminal().out)
