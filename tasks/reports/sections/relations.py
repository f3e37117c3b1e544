"""Sections: correlations among targets and VAD; where clips lie between valence and arousal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tasks.reports.drawing.heat import colour_matrix, density
from tasks.reports.page import (
    FigureGroup,
    ReportFigure,
    ReportSection,
    ReportTable,
    clips_between,
    of_clips,
    titled,
)
from tasks.reports.questions import BEYOND, Correlations, Questions, correlations
from tasks.reports.sections.distributions import NO_SCORES

MIN_CORRELATED = 3
"""Of fewer clips no correlation is shown: of two it is 1 or -1."""

FINE = 40
"""Cells of valence and of arousal in [0, 1]."""

COARSE = 10
"""The same, in the table behind the picture."""

_DENSITY = f"""\
SELECT
    least(greatest(floor(valence * {FINE}), {int(-BEYOND * FINE)}),
        {int((1 + BEYOND) * FINE) - 1})::INTEGER AS valence,
    least(greatest(floor(arousal * {FINE}), {int(-BEYOND * FINE)}),
        {int((1 + BEYOND) * FINE) - 1})::INTEGER AS arousal,
    count(*) AS n
FROM trusted_scores
WHERE valence IS NOT NULL AND arousal IS NOT NULL
GROUP BY ALL"""


def relations_section(questions: Questions) -> ReportSection:
    """Return the section of correlations."""
    figures = []
    for what, view, columns in (
        ("scores", "trusted_scores", questions.scored),
        ("labels", "labels", questions.labelled),
    ):
        found = correlations(questions, view, columns, MIN_CORRELATED)
        if len(found.columns) > 1 and max(found.num_clips) >= MIN_CORRELATED:
            figures.append(_matrix(what, found))
    lead = (
        "Pearson's correlation over clips, 1: rise and fall together. Clips of one speaker are "
        "alike, so of few speakers these say little about others."
    )
    return ReportSection(
        "correlations",
        "Correlations",
        lead=[lead] if figures else (),
        groups=[FigureGroup("", figures)] if figures else (),
        missing=()
        if figures
        else [f"Fewer than {MIN_CORRELATED} clips have two scores or labels."],
    )


def valence_arousal_section(questions: Questions) -> ReportSection:
    """Return the section of the density between valence and arousal."""
    cells = {(row["valence"], row["arousal"]): row["n"] for row in questions.rows(_DENSITY)}
    if not cells:
        return ReportSection("density", "Valence and arousal", missing=[NO_SCORES])
    number = sum(cells.values())
    fullest, most = max(cells.items(), key=lambda item: (item[1], item[0]))
    drawing = density(
        "Clips by valence and arousal",
        f"Valence to the right, arousal upwards, in cells of {1 / FINE:g}. Most clips lie at "
        f"valence {(fullest[0] + 0.5) / FINE:.2f} and arousal {(fullest[1] + 0.5) / FINE:.2f}.",
        cells,
        ("valence", "arousal"),
        1 / FINE,
    )
    figure = ReportFigure(
        "Valence and arousal",
        drawing,
        of_clips(number),
        _coarse(cells),
        note=f"The darker a cell, the more clips: palest 1, darkest {most:,}, on a logarithmic "
        "scale.",
    )
    return ReportSection(
        "density",
        "Valence and arousal",
        lead=["How clips lie between displeasure and pleasure, calm and excitement."],
        groups=[FigureGroup("", [figure])],
    )


def _matrix(what: str, correlated: Correlations) -> ReportFigure:
    names = [titled(column) for column in correlated.columns]
    found = correlated.found
    known = {pair: value for pair, value in found.items() if value is not None}
    (row, column), value = max(known.items(), key=lambda one: abs(one[1]), default=((1, 0), 0.0))
    drawing = colour_matrix(
        f"Correlations among {what}",
        f"A cell for each two of {', '.join(names)}; blue is positive, orange negative. The "
        f"strongest: {names[row]} with {names[column]}, {value:.2f}.",
        names[1:],
        names[:-1],
        {(row - 1, column): value for (row, column), value in found.items()},
    )
    rows = [
        [name, *(found.get((place, other)) for other in range(place)), *[""] * (len(names) - place)]
        for place, name in enumerate(names)
    ]
    return ReportFigure(
        titled(what),
        drawing,
        clips_between(correlated.num_clips),
        ReportTable(f"Correlations among {what}", ["", *names], rows),
        note="Blue: positive. Orange: negative.",
    )


def _coarse(cells: Mapping[tuple[int, int], int]) -> ReportTable:
    """Return the clips by tenths of valence (columns) and of arousal (rows, highest first)."""
    by = FINE // COARSE
    counts: Counter[tuple[int, int]] = Counter()
    for (valence, arousal), number in cells.items():
        counts[valence // by, arousal // by] += number
    across = range(min(v for v, _ in counts), max(v for v, _ in counts) + 1)
    upwards = range(min(a for _, a in counts), max(a for _, a in counts) + 1)
    return ReportTable(
        "Clips by arousal (rows) and valence (columns), in tenths",
        ["arousal", *(f"from {place / COARSE:.1f}" for place in across)],
        [
            [f"from {arousal / COARSE:.1f}", *(counts[valence, arousal] for valence in across)]
            for arousal in reversed(upwards)
        ],
    )
