"""Evaluations on a terminal: the table of figures, and notes on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from rich.table import Column, Table

from emi_model.metrics.agreement import UNDEFINED
from emi_model.metrics.bootstrap import FEW_GROUPS
from emi_model.modalities import TRANSCRIPT
from flows.display.numbers import format_number
from flows.display.tables import show
from flows.display.text import say
from tasks.evaluation.sensitivity import asr_difference
from tasks.schema.registers import MEAN

if TYPE_CHECKING:
    from emi_model.metrics.bootstrap import Estimate, TargetFigures
    from tasks.evaluation.report import EvaluationReport

NOT_MEASURED = "-"

MAX_NAMED = 10
"""Missing clips that are named; the JSON output names all."""


def show_evaluation(report: EvaluationReport, plot: str, out: TextIO) -> None:
    """Write the figures of an evaluation, and notes below them."""
    warning = training_warning(report)
    if warning is not None:
        say(warning, out)
    show(evaluation_table(report), out)
    if report.subsets:
        show(subset_table(report), out)
    for line in [*evaluation_notes(report), *missing_notes(report)]:
        say(line, out)
    say(f"evaluation {report.evaluation_id}, picture {plot}", out)


def evaluation_rows(report: EvaluationReport, plot: str) -> list[dict[str, Any]]:
    """Return the rows of the store; the row of the mean also has missing clips, notes, plot.

    The rows of the subsets follow it.
    """
    *rows, mean = report.rows()
    about = {
        "missing": dict(report.missing),
        "notes": list(evaluation_notes(report)),
        "plot": str(plot),
    }
    return [*rows, mean | about, *report.subset_rows()]


def evaluation_table(report: EvaluationReport) -> Table:
    """Return a table with a row a target and one for the mean."""
    level = report.standing.coverage_level
    covered = "Coverage" if level is None else f"Coverage of {100 * level:.0f} %"
    columns = ["Pearson", "CCC", "MAE", "RMSE", covered]
    table = Table("Target", *(Column(name, justify="right") for name in columns))
    for target, figures in report.evaluation.targets.items():
        table.add_row(target, *_cells(figures), _share(report.standing.coverage.get(target)))
    table.add_section()
    table.add_row(MEAN, *_cells(report.evaluation.mean), _share(report.coverage_mean))
    return table


def subset_table(report: EvaluationReport) -> Table:
    """Return a table with a row a subset of the clips: the means over the targets."""
    columns = ["Clips", "Pearson", "CCC", "MAE", "RMSE"]
    table = Table(f"{MEAN} of clips", *(Column(name, justify="right") for name in columns))
    for subset in report.subsets:
        found = subset.evaluation
        table.add_row(subset.name, str(found.num_clips), *_cells(found.mean))
    return table


def asr_notes(report: EvaluationReport, other: EvaluationReport) -> Iterator[str]:
    """Yield what the text of another ASR model changes."""
    for one in (report, other):
        yield f"text of {_asr_of(one)}: mean Pearson {_with_interval(one.evaluation.mean.pearson)}"
    found = asr_difference(report, other)
    if found is None:
        yield "no difference: with one of the two texts other clips are missing"
    elif found.low is None or found.high is None:
        yield f"difference: {format_number(found.difference)}"
    else:
        share = 2 * found.level - 1
        yield (
            f"difference: {format_number(found.difference)} [{found.low:+.3f}, {found.high:+.3f}], "
            f"a {100 * share:.0f} % interval of the paired bootstrap"
        )


def training_warning(report: EvaluationReport) -> str | None:
    """Return a warning if the model was trained on the evaluated clips, else None."""
    if not report.standing.num_trained_on:
        return None
    return (
        f"WARNING: {report.standing.num_trained_on} of these {report.evaluation.num_clips} clips "
        "trained this model: the figures do not say how good it is on others"
    )


def evaluation_notes(report: EvaluationReport) -> Iterator[str]:
    """Yield which clips and labels the figures were computed from, and their limits."""
    found = report.evaluation
    speakers = f" of {report.num_speakers} speakers" if report.num_speakers else ""
    yield (
        f"{report.model} ({report.model_sha256[:12]}) on split {report.split} of label snapshot "
        f"{report.labels.number} ({report.labels.snapshot[:12]}): {report.num_labelled} clips "
        f"labelled, {found.num_clips} evaluated{speakers}, {len(report.missing)} missing"
    )
    gaps = np.isnan(report.truth).sum(axis=0)
    missing = [f"{t} {gap}" for t, gap in zip(found.targets, gaps, strict=True) if gap]
    if missing:
        yield f"labels missing, the clips left out of that target: {', '.join(missing)}"
    yield _on_intervals(report)
    alike = [name for name, of in found.targets.items() if of.pearson.value is None]
    if alike:
        yield (
            f"{UNDEFINED}: labels, or predictions, all alike ({', '.join(alike)}); not in the mean"
        )
    yield from _on_training(report)
    yield from _on_coverage(report)


def missing_notes(report: EvaluationReport) -> Iterator[str]:
    """Yield which clips are missing, by reason."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for clip_id, reason in report.missing.items():
        by_reason[reason].append(clip_id)
    for reason, clip_ids in by_reason.items():
        more = len(clip_ids) - MAX_NAMED
        rest = f" and {more} more (--json names all)" if more > 0 else ""
        yield f"missing, {reason}: {', '.join(clip_ids[:MAX_NAMED])}{rest}"


def _on_intervals(report: EvaluationReport) -> str:
    found = report.evaluation
    drawn = "by speaker" if any(report.speakers) else "clip by clip, as no speakers are known"
    note = (
        f"in brackets: {100 * found.level:.0f} % bootstrap intervals, drawn {drawn}, "
        f"{found.num_resamples} times"
    )
    if found.num_groups < 2:
        return "no intervals: all clips are of one speaker"
    few = f"; of so few ({found.num_groups}) they are somewhat too narrow"
    return note + few if found.num_groups < FEW_GROUPS else note


def _on_training(report: EvaluationReport) -> Iterator[str]:
    standing, num_clips = report.standing, report.evaluation.num_clips
    if standing.num_trained_on is None:
        yield "the model does not say which clips trained it: some of these may have"
    elif standing.num_held_out is not None and not standing.num_trained_on:
        num_chosen = num_clips - standing.num_held_out
        if num_chosen:
            yield (
                f"{num_chosen} of the clips chose the model's epoch: expect somewhat less on clips "
                "that it never met"
            )


def _on_coverage(report: EvaluationReport) -> Iterator[str]:
    standing, num_clips = report.standing, report.evaluation.num_clips
    if standing.coverage_level is None:
        yield "no coverage: the model has no prediction intervals"
    elif standing.num_held_out == 0:
        yield (
            "no coverage: the model's intervals were calibrated on these clips, or it was trained "
            "on them; held-out clips measure it"
        )
    elif standing.num_held_out is not None and standing.num_held_out < num_clips:
        yield (
            f"coverage is measured on {standing.num_held_out} of the {num_clips} clips: the others "
            "trained the model or calibrated its intervals"
        )


def _asr_of(report: EvaluationReport) -> str:
    text = report.extractors.get(TRANSCRIPT, {})
    return f"{text.get('asr_model')} ({text.get('asr_sha256', '')[:12]})"


def _cells(figures: TargetFigures) -> list[str]:
    errors = (figures.mae.value, figures.rmse.value)
    return [
        _with_interval(figures.pearson),
        format_number(figures.ccc.value),
        *map(format_number, errors),
    ]


def _with_interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return format_number(estimate.value)
    return f"{format_number(estimate.value)} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _share(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{100 * value:.1f} %"
