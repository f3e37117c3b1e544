"""`emi verify`, `emi compact`: the care of a results store.

The one finds damaged parts and scores their clips again, the other merges parts.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from emi_model.errors import ConfigError
from flows.cli.exits import EXIT_DIFFERS
from flows.cli.options import (
    json_option,
    model_option,
    pin_model_option,
    resolve_model_option,
    results_option,
)
from flows.cli.run import log_verb_to, progress_bar, write_json
from flows.display.terminal import terminal
from flows.display.text import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.store.store import ResultsStore
    from tasks.store.verify import Finding, Scored

MAX_CLIPS_NAMED = 10
"""Clips of a part that are named on a terminal; JSON has all."""


@click.command()
@results_option
@click.option(
    "--repair", is_flag=True, help="Set damaged parts aside, and score their clips again."
)
@model_option
@json_option
def verify(results: str, repair: bool, model: str | None, as_json: bool) -> None:
    """Read every part of a results store whole, and name the clips of damaged ones.

    Exits with 1 if parts are damaged. With --repair they are moved to DIR/damaged, and their clips
    are scored again from where they were scored before, by the same model; transcripts are made
    again by `emi transcribe`.
    """
    from tasks.store.store import open_store
    from tasks.store.verify import scored_by, set_aside
    from tasks.store.verify import verify as verify_store

    store = open_store(results)
    found = verify_store(store)
    _show(found, results, as_json)
    scores = [finding for finding in found if finding.is_of_clips]
    heard = [finding for finding in found if finding.is_of_transcripts]
    if repair and heard:
        with store.lock():
            set_aside(store, heard)
        say("their transcripts are gone: `emi transcribe` makes them again", terminal().out)
    if repair and scores:
        sources = scored_by(store, [finding.part.name for finding in scores])
        _score_again(store, scores, sources, model)
    if len(found) > len(scores) + len(heard) or (found and not repair):
        sys.exit(EXIT_DIFFERS)


@click.command()
@results_option
@json_option
def compact(results: str, as_json: bool) -> None:
    """Merge the parts of a results store into few large sorted ones: questions are quick again.

    Runs do so by themselves where many small parts came together. Rows that later ones replaced are
    left out; every answer stays the same, also while it works and if it is killed. Needs room for
    the merged parts beside the old ones: emi compact --results DIR
    """
    from tasks.provenance import new_run_id
    from tasks.schema.tables import LEADING
    from tasks.store.compaction import compact as compact_table
    from tasks.store.store import create_store, open_store

    open_store(results)  # which refuses a folder that is no store
    store = create_store(results)
    with store.lock():
        store.recover()
        before = {table: store.parts(table) for table in LEADING}
        done = {
            table: compact_table(store, f"{new_run_id()}-compact", whole=True, leading=table)
            for table in LEADING
        }
        after = {table: store.parts(table) for table in LEADING}
    sizes = [
        {
            "table": table,
            "is_merged": done[table],
            "num_parts": len(parts),
            "bytes": sum(part.size for part in parts),
            "num_parts_before": len(before[table]),
            "bytes_before": sum(part.size for part in before[table]),
        }
        for table, parts in after.items()
        if parts
    ]
    if as_json:
        write_json(sizes)
        return
    for row in sizes:
        text = "{num_parts_before} parts, {bytes_before:,} bytes -> {num_parts}, {bytes:,}"
        said = text.format(**row) if row["is_merged"] else "nothing to merge"
        say(f"{results}: {row['table']}: {said}", terminal().out)
    if not sizes:
        say(f"{results}: nothing to merge: it holds no scores and no transcripts", terminal().out)


def _show(found: Sequence[Finding], results: str, as_json: bool) -> None:
    if as_json:
        write_json(
            {
                "file": finding.part.file,
                "problem": finding.why,
                "clips": None if finding.clip_ids is None else list(finding.clip_ids),
            }
            for finding in found
        )
        return
    lines = [line for finding in found for line in _lines(finding)]
    whole = f"{results}: every part is whole"
    text = "\n".join([*lines, f"{results}: damaged parts: {len(found)}"]) if found else whole
    say(text, terminal().out)


def _lines(finding: Finding) -> list[str]:
    head = f"{finding.part.file}: {finding.why}"
    if not (finding.is_of_clips or finding.is_of_transcripts):
        return [f"{head}: put back a copy"]
    if finding.clip_ids is None:
        return [head, "  its clips cannot be read"]
    named = [f"  {clip_id}" for clip_id in finding.clip_ids[:MAX_CLIPS_NAMED]]
    more = len(finding.clip_ids) - MAX_CLIPS_NAMED
    return [head, *named, *([f"  and {more} more clips"] if more > 0 else [])]


def _score_again(
    store: ResultsStore, damaged: Sequence[Finding], sources: Sequence[Scored], model: str | None
) -> None:
    """Set damaged parts aside, and run over the corpora that their rows came from.

    Raises:
        ConfigError: the rows were scored by another model.
    """
    from emi_model.checkpoints.resolve import read_metadata
    from tasks.store.verify import set_aside

    sha256 = read_metadata(resolve_model_option(model)).sha256
    others = sorted({one.model for one in sources if one.model_sha256 != sha256})
    ours = [source for source in sources if source.model_sha256 == sha256]
    if not ours:
        raise ConfigError(
            f"the damaged rows were scored by {', '.join(others) or 'a run without a record'}, not "
            f"by {model} ({sha256[:12]}): name that model with --model"
        )
    with store.lock():
        set_aside(store, damaged)
    log_verb_to(store.logs, "verify")

    from flows.process import process_corpus

    for source, coverage in sorted({(one.source, one.coverage) for one in ours}):
        options: dict[str, Any] = {"coverage": coverage}
        with progress_bar():
            record = process_corpus(source, store.location, pin_model_option(model), **options)
        done = f"{record['num_scored']} scored, {record['num_rejected']} rejected"
        say(f"{source}: {done} again", terminal().out)
    for name in others:
        say(f"rows by {name} are gone too: `emi process` with it", terminal().out)
