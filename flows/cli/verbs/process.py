"""`emi process`: a corpus becomes rows in a results store."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from emi_model.loading import without_gc
from emi_model.modalities import TRANSCRIPT
from flows.cli.exits import EXIT_REJECTED
from flows.cli.options import (
    LOCATION,
    asr_option,
    coverage_option,
    features_option,
    few_clips_option,
    gpus_option,
    json_option,
    keep_text_option,
    language_option,
    model_option,
    pin_model_option,
    precision_option,
    ray_option,
    resolve_model_option,
    results_option,
    strict_option,
    wheel_option,
    why_options,
)
from flows.cli.run import (
    log_verb_to,
    offer_int8,
    progress_bar,
    report_missing_emi_scores,
    write_json,
)
from flows.display.terminal import terminal
from flows.display.text import say


@click.command()
@click.argument("source", type=LOCATION)
@results_option
@model_option
@coverage_option
@precision_option
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N clips.")
@click.option("--rescore", is_flag=True, help="Score clips again that have a row.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Scoring processes (default: two, or one a GPU; on a cluster as many as have room).",
)
@gpus_option
@asr_option
@language_option
@keep_text_option
@click.option(
    "--require",
    metavar="MODALITIES",
    callback=lambda _context, _option, named: named.split(",") if named else None,
    help="Reject clips without these, as text,vision (default: what the model cannot do without).",
)
@why_options
@features_option
@few_clips_option
@ray_option
@wheel_option
@strict_option
@json_option
def process(
    source: str, results: str, model: str | None, strict: bool, as_json: bool, **options: Any
) -> None:
    """Score every clip of SOURCE that the results store has no row for.

    SOURCE is a folder (searched at any depth), one media file, or a manifest: CSV or Parquet with a
    column uri; on a disk, or as s3://, gs:// or az://; or features without media, as --features
    takes them. Run it again at any time: it does what is missing. A model that reads text needs
    --asr: what is said goes to the table transcripts, too.
    With --why the table attributions says where the scores come from.
    """
    with without_gc():
        from emi_model.checkpoints.metadata import read_config
        from emi_model.checkpoints.resolve import resolve
        from tasks.corpus.listing import check_source
        from tasks.schema.tables import RUNS
        from tasks.store.store import create_store
        from tasks.transcription.asr_models import check_asr
        from tasks.transcription.settings import asr_settings

    check_source(source)
    folder = resolve(resolve_model_option(model))
    report_missing_emi_scores(folder)
    if options["ray_address"] is None:
        offer_int8(folder, options["precision"])
    if TRANSCRIPT in read_config(folder).get("branches", {}):
        check_asr(asr_settings(options["asr"]).model)
    store = create_store(results)
    is_first = not store.parts(RUNS)
    log_verb_to(store.logs, "process")

    with without_gc():
        from flows.display.tables import run_summary
        from flows.process import process_corpus
        from tasks.cluster.budget import ScorerPool
        from tasks.scoring.stages.in_process import begin_to_load

    pool = ScorerPool(options["workers"], options["gpus_per_scorer"])
    begin_to_load(source, pool, options["ray_address"])  # while Prefect's server starts
    with progress_bar():
        record = process_corpus(source, results, pin_model_option(model), **options)
    if as_json:
        write_json([record])
    else:
        say(run_summary(record, results), terminal().out)
        _show_hints(record, results, is_first=is_first)
    if strict and record["num_rejected"]:
        sys.exit(EXIT_REJECTED)


def _show_hints(record: Mapping[str, Any], results: str, *, is_first: bool) -> None:
    """Write whether the view of scores shows this run, and after the first what to do next."""
    from flows.display.hints import next_steps, not_shown
    from flows.display.text import say
    from tasks.store.query import answer

    current = answer(results, "FROM current_model").to_pylist()
    lines = [not_shown(record, current[0] if current else None)]
    lines += [next_steps(results)] if is_first else []
    for line in filter(None, lines):
        say(line, terminal().out)
