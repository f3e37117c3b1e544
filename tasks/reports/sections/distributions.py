"""Section: how scores and labels are distributed, the paper's Figure 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from emi_model.targets import VAD_DIMENSIONS
from tasks.reports.drawing.histograms import BinCounts, histogram
from tasks.reports.page import (
    FigureGroup,
    ReportFigure,
    ReportSection,
    ReportTable,
    of_clips,
    titled,
)
from tasks.reports.questions import BINS, Questions, Summary, summaries

NO_SCORES = "No clip has scores yet: emi process SOURCE --results DIR scores them."
NO_LABELS = "The store has no labels: emi labels add FILE --corpus DIR --results DIR brings them."
_MARKS = [(place * BINS / 4, f"{place / 4:g}") for place in range(-4, 9)]


def distributions_section(questions: Questions) -> ReportSection:
    """Return the section."""
    scores = summaries(questions, "trusted_scores", questions.scored)
    labels = summaries(questions, "labels", questions.labelled)
    columns = list(dict.fromkeys((*questions.scored, *questions.labelled)))
    wanted = [name for name in columns if name in scores or name in labels]
    targets = [name for name in wanted if name not in VAD_DIMENSIONS]
    vad = [name for name in wanted if name in VAD_DIMENSIONS]
    groups = [
        FigureGroup(heading, [_figure(name, scores.get(name), labels.get(name)) for name in names])
        for heading, names in (("Emotions", targets), ("Arousal, dominance, valence", vad))
        if names
    ]
    lead = ["Of scored clips that are not silent, clipped or cut short (view trusted_scores)."]
    if scores and labels:
        lead.append("Bars: scores. Outline: labels, of the clips that have any.")
    return ReportSection(
        "distributions",
        "Scores and labels",
        lead=lead if wanted else (),
        tables=[_summary(scores, labels)] if wanted else (),
        groups=groups,
        missing=[
            sentence for found, sentence in ((scores, NO_SCORES), (labels, NO_LABELS)) if not found
        ],
    )


def _figure(name: str, scores: Summary | None, labels: Summary | None) -> ReportFigure:
    drawn = {
        what: BinCounts.of(found.bins, 0, BINS)
        for what, found in (("scores", scores), ("labels", labels))
        if found is not None
    }
    (main, counts), *others = drawn.items()
    found = scores or labels
    assert found is not None, "one of both has clips"
    behind = ", ".join(
        of_clips(one.total, what[:-1] if what == "labels" else "clip")
        for what, one in drawn.items()
    )
    drawing = histogram(
        f"{titled(name)}: distribution of {' and '.join(drawn)}",
        f"Share of clips by {name}, from 0 to 1 in {BINS} bins. {titled(main)}: {_words(found)}.",
        counts,
        _MARKS,
        other=others[0][1] if others else None,
    )
    return ReportFigure(titled(name), drawing, behind, _bins(name, drawn))


def _bins(name: str, drawn: Mapping[str, BinCounts]) -> ReportTable:
    first = min(one.first for one in drawn.values())
    last = max(one.first + len(one.counts) for one in drawn.values())
    rows = [
        [f"{place / BINS:.2f} to {(place + 1) / BINS:.2f}", *_cells(place, drawn.values())]
        for place in range(first, last)
    ]
    return ReportTable(f"Clips by {titled(name)}", ["from, to", *drawn], rows)


def _cells(place: int, drawn: Iterable[BinCounts]) -> list[int]:
    return [
        one.counts[place - one.first] if 0 <= place - one.first < len(one.counts) else 0
        for one in drawn
    ]


def _summary(scores: Mapping[str, Summary], labels: Mapping[str, Summary]) -> ReportTable:
    rows = [
        [f"{titled(name)}, {what}", one.num_clips, one.mean, one.deviation, *one.quantiles]
        for what, of_what in (("scores", scores), ("labels", labels))
        for name, one in of_what.items()
    ]
    headings = ["", "clips", "mean", "sd", "5 %", "25 %", "median", "75 %", "95 %"]
    return ReportTable("Mean, standard deviation and quantiles", headings, rows)


def _words(found: Summary) -> str:
    return f"mean {found.mean:.3f}, median {found.quantiles[2]:.3f}, {of_clips(found.num_clips)}"
