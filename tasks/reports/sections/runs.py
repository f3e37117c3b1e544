"""Sections: whether later runs give other scores than the first; what was run when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.reports.drawing.heat import colour_matrix
from tasks.reports.drawing.histograms import bars
from tasks.reports.page import (
    FigureGroup,
    ReportFigure,
    ReportSection,
    ReportTable,
    of_clips,
    titled,
)
from tasks.reports.questions import Questions
from tasks.schema.tables import RUNS
from tasks.store.queries.quoting import quoted_name

MIN_CLIPS_A_RUN = 10
"""Of fewer clips a run's mean says little: the run is left out."""

MAX_RUNS = 30

_COLUMNS = (
    *("run_id", "started_at", "state", "made", "model", "coverage", "num_listed", "num_scored"),
    *("num_rejected", "num_skipped", "wall_seconds", "audio_hours_per_hour", "message"),
)
_HISTORY = f"""\
SELECT * REPLACE (coalesce(made, 'scores') AS made), count(*) OVER () AS num_runs
FROM {{runs}}
ORDER BY started_at DESC, run_id DESC
LIMIT {MAX_RUNS}"""


def run_drift_section(questions: Questions) -> ReportSection:
    """Return the section of each run's scores against those of the first."""
    columns = questions.scored
    wanted = ", ".join(
        f"avg({quoted_name(name)}) AS m{place}, stddev_samp({quoted_name(name)}) AS s{place}"
        for place, name in enumerate(columns)
    )
    runs = questions.rows(
        f"SELECT run_id, min(scored_at) AS began, count(*) AS n, {wanted}\nFROM trusted_scores\n"
        f"GROUP BY run_id\nHAVING n >= {MIN_CLIPS_A_RUN}\nORDER BY run_id"
    )
    if len(runs) < 2:
        few = (
            f"Drift needs two runs of {MIN_CLIPS_A_RUN} clips or more by the current model; there "
            f"{'is' if len(runs) == 1 else 'are'} {len(runs) or 'none'}."
        )
        return ReportSection("drift", "Drift of runs against the first", missing=[few])
    first, later = runs[0], runs[1:][-MAX_RUNS:]
    filled = [place for place in range(len(columns)) if first[f"m{place}"] is not None]
    found = {
        (row, column): _apart(run, first, place)
        for row, run in enumerate(later)
        for column, place in enumerate(filled)
    }
    names = [titled(columns[place]) for place in filled]
    begun = [f"{run['began']:%Y-%m-%d %H:%M}" for run in later]
    known = {place: value for place, value in found.items() if value is not None}
    (row, column), most = max(known.items(), key=lambda one: abs(one[1]), default=((0, 0), 0.0))
    title = "Difference of means, in standard deviations of the first run"
    drawing = colour_matrix(
        title,
        f"A row a run, a column a score; blue is above the first run, orange below. The largest: "
        f"{names[column]} of {begun[row]}, {most:+.2f}.",
        [one[2:] for one in begun],
        names,
        found,
    )
    table = ReportTable(
        title,
        ["run", "began", "clips", *names],
        [
            [run["run_id"], began, run["n"], *(found[row, place] for place in range(len(names)))]
            for row, (run, began) in enumerate(zip(later, begun, strict=True))
        ],
    )
    number = sum(run["n"] for run in (first, *later))
    figure = ReportFigure(title, drawing, of_clips(number), table)
    return ReportSection(
        "drift",
        "Drift of runs against the first",
        lead=[
            f"The first run began {first['began']:%Y-%m-%d %H:%M} UTC ({of_clips(first['n'])}). A "
            "difference means other clips, recorded otherwise, or other people; the model is the "
            "same. A clip counts for the run that scored it last."
        ],
        groups=[FigureGroup("", [figure])],
    )


def history_section(questions: Questions) -> ReportSection:
    """Return the section of the latest runs."""
    runs = questions.rows(_HISTORY.format(runs=questions.columns_of(RUNS, _COLUMNS)))
    if not runs:
        return ReportSection("runs", "Runs", missing=["No run is recorded yet."])
    total = runs[0]["num_runs"]
    shown = f"the latest {len(runs)}" if total > len(runs) else "all"
    table = ReportTable(
        "Runs, the latest first",
        [
            *("began", "state", "made", "model", "coverage", "listed", "scored", "rejected"),
            *("skipped", "seconds", "audio hours an hour", "message"),
        ],
        [
            [
                *(run[name] for name in ("started_at", "state", "made", "model", "coverage")),
                *(run[name] for name in ("num_listed", "num_scored", "num_rejected")),
                *(run[name] for name in ("num_skipped", "wall_seconds", "audio_hours_per_hour")),
                run["message"],
            ]
            for run in runs
        ],
    )
    return ReportSection(
        "runs",
        "Runs",
        lead=[
            f"{of_clips(total, 'run')}; shown: {shown}. In each, listed = scored + rejected + "
            "skipped; skipped clips had a row before."
        ],
        tables=[table],
        groups=[FigureGroup("", [_scored(runs)])],
    )


def _apart(run: Mapping[str, Any], first: Mapping[str, Any], place: int) -> float | None:
    """Return how far a run's mean lies from the first's, in the first's standard deviations."""
    mean, start, spread = run[f"m{place}"], first[f"m{place}"], first[f"s{place}"]
    return (mean - start) / spread if mean is not None and spread else None


def _scored(runs: Sequence[Mapping[str, Any]]) -> ReportFigure:
    rows = [(f"{run['started_at']:%Y-%m-%d %H:%M}", int(run["num_scored"] or 0)) for run in runs]
    number = sum(count for _, count in rows)
    title = "Clips scored by run"
    words = f"{of_clips(number)} in {of_clips(len(rows), 'run')}, the latest first."
    table = ReportTable(title, ["run began", "clips"], rows)
    return ReportFigure(title, bars(title, words, rows), of_clips(number), table)
