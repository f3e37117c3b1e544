"""Section: how long the clips are, the paper's Figure 2."""

from __future__ import annotations

import math

from tasks.reports.drawing.histograms import BinCounts, histogram
from tasks.reports.page import (
    FigureGroup,
    ReportFigure,
    ReportSection,
    ReportTable,
    of_clips,
    percent,
)
from tasks.reports.questions import Questions
from tasks.schema.outcomes import Flag

A_DOUBLING = 4
"""Bins of a duration: each is a quarter of a doubling."""

FIRST_SECONDS = 12.0
"""What coverage ``first`` scores, as the paper does."""

_MARKS = {
    0.1: "0.1 s",
    0.3: "0.3 s",
    1.0: "1 s",
    3.0: "3 s",
    10.0: "10 s",
    30.0: "30 s",
    120.0: "2 min",
    600.0: "10 min",
    3600.0: "1 h",
    6 * 3600.0: "6 h",
}
_LONGEST = 2**17
_SHORTEST = 2**-6

_SQL = f"""\
SELECT
    count(seconds) AS n,
    avg(seconds) AS mean,
    quantile_cont(seconds, [0.05, 0.5, 0.95]) AS at,
    min(seconds) AS shortest,
    max(seconds) AS longest,
    sum(seconds) / 3600 AS hours,
    count(*) FILTER (seconds <= {FIRST_SECONDS}) AS num_first,
    histogram(
        floor(log2(least(greatest(seconds, {_SHORTEST}), {_LONGEST})) * {A_DOUBLING})::INTEGER
    ) AS bins
FROM (
    SELECT CASE WHEN list_contains(flags, '{Flag.TRUNCATED}')
        THEN greatest(declared_seconds, duration_seconds) ELSE duration_seconds END AS seconds
    FROM scores
)
WHERE seconds > 0"""


def durations_section(questions: Questions) -> ReportSection:
    """Return the section."""
    found = questions.row(_SQL)
    if not found["n"]:
        return ReportSection(
            "durations", "Durations", missing=["No clip with sound has a row yet."]
        )
    counts = BinCounts.of(found["bins"], *_ends(found["shortest"], found["longest"]))
    low, median, high = found["at"]
    drawing = histogram(
        "Durations of the clips",
        f"Share of clips by duration, on a logarithmic axis. Mean {found['mean']:.1f} s, median "
        f"{median:.1f} s, 95 % last up to {high:.1f} s.",
        counts,
        [(math.log2(seconds) * A_DOUBLING, words) for seconds, words in _MARKS.items()],
        line=math.log2(FIRST_SECONDS) * A_DOUBLING,
    )
    rows = [
        [f"{_seconds(counts.first + place)} to {_seconds(counts.first + place + 1)}", number]
        for place, number in enumerate(counts.counts)
    ]
    share = found["num_first"] / found["n"]
    figure = ReportFigure(
        "Durations",
        drawing,
        of_clips(found["n"]),
        ReportTable("Clips by duration", ["seconds from, to", "clips"], rows),
        note=f"Dashed: {FIRST_SECONDS:g} s, which is what coverage first scores.",
    )
    summary = ["All clips with sound", found["n"], found["mean"], low, median, high]
    return ReportSection(
        "durations",
        "Durations",
        lead=[
            f"{found['hours']:,.2f} hours of sound. {percent(share)} of the clips last up to "
            f"{FIRST_SECONDS:g} s. Of a clip of which only the beginning was decoded, the duration "
            "is what its file declares."
        ],
        tables=[
            ReportTable(
                "Durations in seconds",
                ["", "clips", "mean", "5 %", "median", "95 %", "shortest", "longest"],
                [[*summary, found["shortest"], found["longest"]]],
            )
        ],
        groups=[FigureGroup("", [figure])],
    )


def _ends(shortest: float, longest: float) -> tuple[int, int]:
    """Return the first bin and the one after the last, so that some room is left at both sides."""
    first = math.floor(math.log2(max(shortest, _SHORTEST)) * A_DOUBLING)
    last = math.floor(math.log2(min(longest, _LONGEST)) * A_DOUBLING)
    return first - 1, last + 2


def _seconds(place: int) -> str:
    seconds = 2 ** (place / A_DOUBLING)
    return f"{seconds:.3g}" if seconds < 1000 else f"{seconds:,.0f}"
