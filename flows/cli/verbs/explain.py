"""`emi explain`: sentences beside the scores of a few clips."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from emi_model.errors import EXIT_USAGE
from emi_model.loading import without_gc
from flows.cli.exits import EXIT_REJECTED
from flows.cli.options import (
    LOCATION,
    RESULTS_VARIABLE,
    asr_option,
    coverage_option,
    json_option,
    language_option,
    model_option,
    precision_option,
    resolve_model_option,
    strict_option,
)
from flows.cli.run import write_json
from flows.display.terminal import message
from flows.display.text import say


@click.command()
@click.argument("clips", nargs=-1, required=True, type=LOCATION, metavar="CLIP...")
@model_option
@click.option(
    "--llm",
    type=LOCATION,
    metavar="REF",
    help="Causal language model that writes the sentences: a folder of transformers' layout, or a "
    "hub id (default: none; a template writes them).",
)
@coverage_option
@precision_option
@asr_option
@language_option
@click.option(
    "--results",
    type=LOCATION,
    envvar=RESULTS_VARIABLE,
    metavar="DIR",
    help="Results store that keeps the text and its evidence, in the table explanations (default: "
    "EMI_RESULTS, else nothing is kept).",
)
@strict_option
@json_option
def explain(
    clips: Sequence[str],
    model: str | None,
    results: str | None,
    strict: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Say in two or three sentences what was measured in a few clips beside their scores.

    They cite seconds, words and measurements: loudness, pitch, pauses, arousal by second, with an
    ASR model what is said, with a model that sees how often a face is seen. Every second, quoted
    word and number in them is checked against the evidence. A sentence of a language model that
    fails is dropped and counted; where none is left, the template's text stands.

    This is a model's estimate of how expression is perceived, not what somebody feels, and the
    measurements say what was there, not why a score is what it is.
    """
    with without_gc():
        from tasks.explaining.explain import explain_files, record_explanations
        from tasks.schema.outcomes import Reason
        from tasks.store.store import create_store

    reference = resolve_model_option(model)
    store = create_store(results) if results else None
    rows = []
    for row in explain_files(clips, reference, **options):
        rows.append(row)
        if as_json:
            write_json([row])
        else:
            say(_shown(row))
    if store is not None:
        record_explanations(store, rows)
    missing = [row["clip_id"] for row in rows if row["reason"] == Reason.MISSING]
    if missing and not strict:
        message(f"no such file: {', '.join(missing)}")
        sys.exit(EXIT_USAGE)
    if strict and any(row["reason"] for row in rows):
        sys.exit(EXIT_REJECTED)


def _shown(row: dict[str, Any]) -> str:
    if row["reason"]:
        return f"{row['clip_id']}: {row['reason']}: {row['detail']}"
    dropped = f" ({row['num_dropped']} sentences dropped)" if row["num_dropped"] else ""
    return f"{row['clip_id']}: {row['text']}{dropped}"
