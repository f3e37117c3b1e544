"""Section: clips without scores, and what to doubt in the others' sound."""

from __future__ import annotations

from typing import Any

from tasks.reports.drawing.histograms import BinCounts, bars, histogram
from tasks.reports.page import (
    FigureGroup,
    ReportFigure,
    ReportSection,
    ReportTable,
    of_clips,
    percent,
)
from tasks.reports.questions import Questions
from tasks.schema.outcomes import DOUBTFUL, Flag

MAX_BARS = 12
"""Of codecs and sampling rates; the rest is counted together."""

DECIBELS = 5
"""Width of a bin of loudness."""

_FLAGS = ",\n    ".join(
    f"count(*) FILTER (status = 'scored' AND list_contains(flags, '{flag}')) AS flag_{flag}"
    for flag in Flag
)
_SQL = f"""\
SELECT
    count(*) AS n,
    count(*) FILTER (status = 'scored') AS num_scored,
    histogram(reason) AS reasons,
    count(*) FILTER (
        status = 'scored' AND NOT list_has_any(flags, {[str(flag) for flag in DOUBTFUL]})
    ) AS num_trusted,
    {_FLAGS},
    histogram(codec) FILTER (status = 'scored') AS codecs,
    histogram(sampling_rate) FILTER (status = 'scored') AS rates,
    histogram(floor(greatest(rms_dbfs, -100) / {DECIBELS})::INTEGER)
        FILTER (status = 'scored') AS levels,
    {{taught}} AS num_taught
FROM scores"""
_TAUGHT = "count(*) FILTER (status = 'scored' AND training_split = 'train')"


def quality_section(questions: Questions) -> ReportSection:
    """Return the section."""
    taught = _TAUGHT if "training_split" in questions.columns else "0"
    found = questions.row(_SQL.format(taught=taught))
    if not found["n"]:
        return ReportSection(
            "quality", "Rejections and quality", missing=["No clip has a row yet."]
        )
    rejected = found["n"] - found["num_scored"]
    groups = [
        FigureGroup(heading, figures)
        for heading, figures in (
            ("Clips without scores", [_reasons(found, rejected)] if rejected else []),
            ("Sound of the scored clips", _sound(found) if found["num_scored"] else []),
        )
        if figures
    ]
    lead = [
        f"{of_clips(found['n'])}: {found['num_scored']:,} scored, {rejected:,} rejected "
        f"({percent(rejected / found['n'], 2)}). Every clip of the corpus ends as a row."
    ]
    if found["num_scored"]:
        doubtful = found["num_scored"] - found["num_trusted"]
        lead.append(
            f"{doubtful:,} of the scored clips are silent, clipped or cut short: the other figures "
            "of this report leave them out."
        )
    if found["num_taught"]:
        lead.append(
            f"{found['num_taught']:,} of the scored clips taught the model: it knows their labels, "
            "so their scores say nothing of how it does on new clips. They are in the figures; the "
            "view unseen_scores leaves them out."
        )
    return ReportSection("quality", "Rejections and quality", lead=lead, groups=groups)


def _reasons(found: dict[str, Any], rejected: int) -> ReportFigure:
    rows = _most(found["reasons"])
    return _bars("Rejected clips by reason", "reason", rows, rejected)


def _sound(found: dict[str, Any]) -> list[ReportFigure]:
    scored = found["num_scored"]
    flags = [(str(flag), found[f"flag_{flag}"]) for flag in Flag]
    figures = [_bars("Warnings about the sound", "warning", flags, scored)]
    for title, name, column in (
        ("Audio codecs", "codec", "codecs"),
        ("Sampling rates", "Hz", "rates"),
    ):
        if found[column]:
            figures.append(_bars(title, name, _most(found[column]), scored))
    if found["levels"]:
        figures.append(_levels(found["levels"], scored))
    return figures


def _bars(title: str, name: str, rows: list[tuple[str, int]], behind: int) -> ReportFigure:
    told = ", ".join(f"{one} {number:,}" for one, number in rows[:3])
    return ReportFigure(
        title,
        bars(title, f"Clips by {name}: {told}{', ...' if len(rows) > 3 else ''}.", rows),
        of_clips(behind),
        ReportTable(title, [name, "clips"], rows),
    )


def _levels(levels: dict[int, int], scored: int) -> ReportFigure:
    lowest = -100 // DECIBELS
    counts = BinCounts.of(levels, max(min(levels), lowest), 0)
    title = "Loudness (RMS level, dBFS)"
    marks = [(place / DECIBELS, f"{place}") for place in range(-100, 1, 20)]
    rows = [
        [f"{(counts.first + place) * DECIBELS} to {(counts.first + place + 1) * DECIBELS}", number]
        for place, number in enumerate(counts.counts)
    ]
    words = f"Share of clips by mean level in dBFS, in steps of {DECIBELS}; silence is -100."
    return ReportFigure(
        title,
        histogram(title, words, counts, marks),
        of_clips(scored),
        ReportTable(title, ["dBFS from, to", "clips"], rows),
    )


def _most(counts: dict[Any, int]) -> list[tuple[str, int]]:
    """Return the most frequent first; what is beyond `MAX_BARS` as one row."""
    ordered = sorted(counts.items(), key=lambda one: (-one[1], str(one[0])))
    rows = [(str(name), int(number)) for name, number in ordered]
    if len(rows) > MAX_BARS:
        rest = sum(number for _, number in rows[MAX_BARS - 1 :])
        rows = [*rows[: MAX_BARS - 1], ("all others", rest)]
    return rows
