"""What a results store holds, for a person: which scores are shown, their warnings, latest runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from flows.display.answers import show_rows
from flows.display.tables import console_on
from tasks.schema.outcomes import DOUBTFUL

WIDE = 120
"""Columns from which a terminal is shown ids and hashes as well."""

_SHORT = 12
"""Characters of a hash that are shown: enough to tell two apart."""

_HEADS = {
    "audio_hours": "hours",
    "last_scored_at": "last scored",
    "started_at": "started",
    "audio_hours_per_hour": "hours/h",
    "wall_seconds": "seconds",
}
_SCORED = {"first": "the first 12 s of each clip", "full": "all of each clip"}


def show_status(
    contents: Sequence[Mapping[str, Any]],
    transcribed: Sequence[Mapping[str, Any]],
    runs: Sequence[Mapping[str, Any]],
    out: TextIO,
) -> None:
    """Write what a store holds.

    Args:
        contents: the answer to the stored question ``status``.
        transcribed: the answer to ``transcribed``.
        runs: the answer to ``latest_runs``.
        out: where to write.
    """
    console = console_on(out)
    for line in (*status_lines(contents), *transcribed_lines(transcribed)):
        console.print(line)
    wide = console.width >= WIDE
    if contents:
        console.print("\nby model and coverage (all_scores):")
        columns = ["model", "coverage", "clips", "scored", "rejected", "missing", "audio_hours"]
        columns += ["last_scored_at", *(["model_sha256", "backbone_licence"] if wide else [])]
        _show(contents, columns, console)
    if runs:
        console.print("\nlatest runs:")
        columns = ["started_at", "state", "made", "listed", "scored", "rejected", "skipped"]
        columns += ["source"]
        columns += ["audio_hours_per_hour", "wall_seconds", "run_id"] if wide else []
        named = [{key.removeprefix("num_"): value for key, value in run.items()} for run in runs]
        _show(named, columns, console)


def status_lines(contents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield which clips, model and coverage the view of scores shows, and what to know of them."""
    current = next((row for row in contents if row["is_current"]), None)
    if current is None:
        yield "scores: no clips"
        return
    yield (
        f"scores: {current['clips']} clips by model {current['model']} "
        f"({current['model_sha256'][:_SHORT]}),"
    )
    yield f"  coverage {current['coverage']}: {_SCORED[current['coverage']]}"
    flags = [f"{current[flag.value]} {flag.value}" for flag in DOUBTFUL if current[flag.value]]
    if flags:
        yield f"  flagged: {', '.join(flags)}; trusted_scores leaves them out"
    if current["missing"]:
        yield f"  gone from the corpus, and only in all_scores: {current['missing']}"


def transcribed_lines(transcribed: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield, for each ASR model, how many clips the view of transcripts shows, and their words."""
    for row in transcribed:
        if row["clips"]:
            yield (
                f"transcripts: {row['clips']} clips by {row['asr_model']}, {row['spoken']} of them "
                f"with words ({row['words']}), {row['rejected']} rejected"
            )


def _show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], console: Any) -> None:
    short = [{**row, **_shortened(row)} for row in rows]
    heads = [_HEADS.get(name, name.replace("_", " ")) for name in columns]
    show_rows(heads, [[row[name] for name in columns] for row in short], console)


def _shortened(row: Mapping[str, Any]) -> dict[str, str]:
    short = {
        name: f"{row[name]:%m-%d %H:%M}"
        for name in ("started_at", "last_scored_at")
        if row.get(name)
    }
    return short | ({"model_sha256": row["model_sha256"][:_SHORT]} if "model_sha256" in row else {})
