"""`emi transcribe`: a corpus becomes transcripts in a results store."""

from __future__ import annotations

import sys
from typing import Any

import click

from emi_model.loading import without_gc
from flows.cli.exits import EXIT_REJECTED
from flows.cli.options import (
    LOCATION,
    asr_option,
    few_clips_option,
    json_option,
    keep_text_option,
    language_option,
    ray_option,
    results_option,
    strict_option,
    wheel_option,
)
from flows.cli.run import log_verb_to, progress_bar, write_json
from flows.display.terminal import terminal
from flows.display.text import say


@click.command()
@click.argument("source", type=LOCATION)
@results_option
@asr_option
@language_option
@keep_text_option
@click.option(
    "--beam",
    "beam_size",
    type=click.Choice(["1", "5"]),
    default="5",
    show_default=True,
    help="1 takes the likeliest word each time, 5 weighs five texts: slower, fewer errors.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N clips.")
@click.option("--again", is_flag=True, help="Transcribe clips again that have a transcript.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Transcribing processes (default: two, or one a GPU; on a cluster as many as have room).",
)
@few_clips_option
@ray_option
@wheel_option
@strict_option
@json_option
def transcribe(
    source: str,
    results: str,
    asr: str | None,
    language: str | None,
    keep_text: bool,
    beam_size: str,
    strict: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Turn the speech of every clip of SOURCE into text, in the table transcripts.

    SOURCE is what `emi process` takes. A clip in which nobody speaks gets an empty text. Run it
    again at any time: it does what is missing under this ASR model, language and beam.
    """
    with without_gc():
        from tasks.corpus.listing import check_source
        from tasks.store.store import create_store
        from tasks.transcription.asr_models import check_asr
        from tasks.transcription.settings import asr_settings

    check_source(source)
    model = asr_settings(asr, language).model
    check_asr(model)
    store = create_store(results)
    log_verb_to(store.logs, "transcribe")

    with without_gc():
        from flows.display.tables import run_summary
        from flows.transcribe import transcribe_clips

    with progress_bar():
        record = transcribe_clips(
            source, results, model, language, keep_text, int(beam_size), **options
        )
    if as_json:
        write_json([record])
    else:
        say(run_summary(record, results), terminal().out)
    if strict and record["num_rejected"]:
        sys.exit(EXIT_REJECTED)
