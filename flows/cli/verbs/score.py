"""`emi score`: a few clips at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from emi_model.errors import EXIT_USAGE
from emi_model.loading import without_gc
from flows.cli.exits import EXIT_REJECTED
from flows.cli.options import (
    LOCATION,
    asr_option,
    coverage_option,
    features_option,
    json_option,
    language_option,
    model_option,
    precision_option,
    resolve_model_option,
    strict_option,
    why_options,
)
from flows.cli.run import report_missing_emi_scores, write_json
from flows.display.terminal import message

if TYPE_CHECKING:
    from tasks.scoring.settings import Coverage


@click.command()
@click.argument("files", nargs=-1, required=True, type=LOCATION, metavar="FILE...")
@model_option
@coverage_option
@precision_option
@asr_option
@language_option
@features_option
@click.option("--raw", is_flag=True, help="Leave EMI scores as the model gives them, unclipped.")
@why_options
@strict_option
@json_option
def score(
    files: Sequence[str],
    model: str | None,
    coverage: Coverage,
    strict: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Score a few clips at once and print them."""
    with without_gc():
        from emi_model.checkpoints.resolve import resolve
        from flows.display.scores import show_attributions, show_scores
        from tasks.schema.outcomes import Reason
        from tasks.scoring.direct import score_files

    reference = resolve_model_option(model)
    report_missing_emi_scores(resolve(reference))
    rows, targets = score_files(files, reference, coverage=coverage, **options)
    if as_json:
        write_json(rows)
    else:
        show_scores(rows, targets, sys.stdout)
        show_attributions(rows, sys.stdout)
    missing = [row["clip_id"] for row in rows if row["reason"] == Reason.MISSING]
    if missing and not strict:
        message(f"no such file: {', '.join(missing)}")
        sys.exit(EXIT_USAGE)
    if strict and any(row["reason"] for row in rows):
        sys.exit(EXIT_REJECTED)
