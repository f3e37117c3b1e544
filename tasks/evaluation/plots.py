"""Pictures of what was measured: agreement with the labels, training curves, ablations.

Figures are made object by object, without matplotlib's global state, so they can be drawn in any
thread; matplotlib is loaded where one is drawn.
"""

from __future__ import annotations

import io
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emi_model.errors import ConfigError, StoreError
from tasks.evaluation.reliability import reliability
from tasks.processes.surroundings import NEUTRAL_FOLDER, in_folder
from tasks.schema.registers import MEAN
from tasks.storage.open import open_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from emi_model.arrays import Doubles
    from emi_model.metrics.bootstrap import TargetFigures
    from emi_model.training.trainer import EpochReport
    from tasks.evaluation.report import EvaluationReport

PLOT_SUFFIXES = (".png", ".pdf", ".svg")
DOTS_PER_INCH = 120
PANELS_A_ROW = 3

INK, PALE, BAND = "#222222", "#8c8c8c", "#e9e9e9"
BLUE, RED = "#0072B2", "#D55E00"
COLOURS = (BLUE, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", RED)
"""Told apart with any kind of sight: Okabe and Ito 2008, "Color Universal Design"."""
DASHES = ("-", "--", ":")
"""A seventh target gets the first colour again, dashed."""


def agreement_plot(report: EvaluationReport) -> Figure:
    """Return a panel a target: each clip's label over its prediction, and how reliable that is."""
    targets = list(report.evaluation.targets.items())
    rows = math.ceil(len(targets) / PANELS_A_ROW)
    columns = min(len(targets), PANELS_A_ROW)
    figure = new_figure(max(3.3 * columns, 4.6), 3.75 * rows + 1.2)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for number, (panel, (target, figures)) in enumerate(zip(panels, targets, strict=False)):
        _agreement(panel, report, number)
        panel.set_title(f"{literal(target)}\n{_told(figures)}", fontsize=10, color=INK)
        if number % columns == 0:
            panel.set_ylabel("label (0 to 1)")
        if number + columns >= len(targets):
            panel.set_xlabel("predicted (0 to 1)")
            panel.tick_params(labelbottom=True)
    for panel in panels[len(targets) :]:
        panel.remove()
    figure.suptitle(literal(_agreement_title(report)), fontsize=11, color=INK)
    add_legend(figure, panels, ncols=2 if columns > 1 else 1)
    return figure


def curve_plot(history: Sequence[EpochReport], *, title: str = "") -> Figure:
    """Return the loss and the validation correlation over the epochs of a training.

    Args:
        history: one report an epoch, at least one.
        title: of the picture.
    """
    figure = new_figure(7.2, 6.4)
    validated = any(report.valid_pearson is not None for report in history)
    above, *below = figure.subplots(2 if validated else 1, 1, sharex=True, squeeze=False)[:, 0]
    marker = "." if len(history) < 40 else None
    epochs = [report.epoch for report in history]
    above.plot(epochs, [report.train_loss for report in history], color=INK, marker=marker)
    above.set_ylabel("training loss")
    above.set_title(literal(title), fontsize=11, color=INK)
    for panel in below:
        _pearson_curves(panel, history)
        add_legend(figure, below, ncols=3)
    for panel in (above, *below):
        plain_axes(panel)
        panel.margins(x=0.02)
        panel.xaxis.get_major_locator().set_params(integer=True)
    panel.set_xlabel("epoch")
    return figure


def ablation_plot(rows: Iterable[Mapping[str, Any]], *, title: str = "") -> Figure:
    """Return the mean Pearson of each cell of an ablation, with its spread over the seeds.

    Args:
        rows: of the ablations register; those of single targets are left out.
        title: of the picture.
    """
    cells: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["target"] == MEAN and row["pearson"] is not None:
            cells[row["cell"]].append(row["pearson"])
        elif row["target"] == MEAN:
            cells[row["cell"]] += []
    figure = new_figure(7.2, 1.5 + 0.36 * max(len(cells), 2))
    panel = figure.subplots()
    for place, values in enumerate(cells.values()):
        if values:
            panel.plot(
                [min(values), max(values)], [place] * 2, color=BLUE, linewidth=2.5, alpha=0.5
            )
            panel.plot(values, [place] * len(values), "|", color=BLUE, markersize=12)
            panel.plot(np.mean(values), place, "o", color=RED, markersize=7)
    panel.set_yticks(range(len(cells)), list(map(literal, cells)))
    panel.set_ylim(len(cells) - 0.5, -0.5)
    panel.set_xlabel("mean Pearson over the targets (-1 to 1)")
    panel.set_title(literal(title), fontsize=11, color=INK)
    panel.plot([], [], "o", color=RED, label="mean over the seeds")
    panel.plot([], [], "|", color=BLUE, markersize=12, label="one seed")
    add_legend(figure, [panel], ncols=2)
    plain_axes(panel)
    return figure


def check_picture(path: str | Path) -> str:
    """Return the suffix of a file that a picture can be written to, in small letters.

    Raises:
        ConfigError: its suffix is of no supported format.
    """
    suffix = Path(path).suffix
    if suffix.lower() not in PLOT_SUFFIXES:
        raise ConfigError(
            f"{path}: found suffix {suffix!r}, expected one of {', '.join(PLOT_SUFFIXES)}"
        )
    return suffix.lower()


def save_picture(figure: Figure, path: str | Path) -> None:
    """Write a figure so that it is either absent or complete, on a disk or in a bucket.

    Raises:
        ConfigError: the suffix is of no supported format.
        StoreError: the folder cannot be written.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=DOTS_PER_INCH, format=check_picture(path).removeprefix("."))
    try:
        folder, name = open_file(str(path))
        folder.write(name, drawn.getvalue())
    except OSError as error:
        raise StoreError(f"{path}: the picture could not be written ({error})") from error


def _agreement(panel: Axes, report: EvaluationReport, number: int) -> None:
    """Draw one target: clips, bins of clips, perfect agreement, and the model's own interval."""
    rated = ~np.isnan(report.truth[:, number])
    predicted, truth = report.predictions[rated, number], report.truth[rated, number]
    speakers = [name for name, has_label in zip(report.speakers, rated, strict=True) if has_label]
    target = tuple(report.evaluation.targets)[number]
    width = report.intervals.half_widths[target] if report.intervals is not None else None
    ends = np.linspace(0.0, 1.0, 101)
    if report.intervals is not None and width is not None:
        panel.fill_between(
            ends,
            (ends - width).clip(0, 1),
            (ends + width).clip(0, 1),
            color=BAND,
            linewidth=0,
            label=f"the model's {100 * report.intervals.level:.0f} % interval",
        )
    panel.plot(ends, ends, color=PALE, linestyle="--", linewidth=1, label="perfect agreement")
    if len(truth):
        _draw_clips(panel, predicted, truth, speakers)
    panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    panel.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    plain_axes(panel)


def _draw_clips(panel: Axes, predicted: Doubles, truth: Doubles, speakers: Sequence[str]) -> None:
    """Draw clips (n,) of one target, and their bins."""
    panel.scatter(
        predicted,
        truth,
        s=12,
        color=BLUE,
        alpha=float(np.clip(12 / math.sqrt(len(truth)), 0.12, 0.6)),
        linewidths=0,
        label="one clip",
    )
    bins = reliability(predicted, truth, speakers)
    centres = np.array([one.label for one in bins])
    lows = np.array([one.label if one.low is None else one.low for one in bins])
    highs = np.array([one.label if one.high is None else one.high for one in bins])
    panel.errorbar(
        [one.predicted for one in bins],
        centres,
        yerr=[centres - lows.clip(max=centres), highs.clip(min=centres) - centres],
        color=RED,
        marker="o",
        markersize=4.5,
        linewidth=1.2,
        capsize=2.5,
        label="mean label of clips scored alike, 95 % interval",
    )


def _agreement_title(report: EvaluationReport) -> str:
    speakers = f" of {report.num_speakers} speakers" if report.num_speakers else ""
    return (
        f"{report.model} on {report.evaluation.num_clips} clips{speakers}, split {report.split}\n"
        f"mean {_told(report.evaluation.mean)}"
    )


def _told(figures: TargetFigures) -> str:
    pearson = figures.pearson
    if pearson.value is None:
        return f"undefined: {'labels' if figures.ccc.value is None else 'predictions'} all alike"
    if pearson.low is None or pearson.high is None:
        return f"Pearson {pearson.value:.2f}"
    return f"Pearson {pearson.value:.2f} [{pearson.low:.2f}, {pearson.high:.2f}]"


def _pearson_curves(panel: Axes, history: Sequence[EpochReport]) -> None:
    epochs = [report.epoch for report in history]
    targets = next((list(report.valid) for report in history if report.valid), [])
    for number, target in enumerate(targets):
        values = [report.valid[target].pearson if report.valid else None for report in history]
        panel.plot(
            epochs,
            _drawn(values),
            color=COLOURS[number % len(COLOURS)],
            linestyle=DASHES[number // len(COLOURS) % len(DASHES)],
            linewidth=1,
            label=literal(target),
        )
    means = _drawn(report.valid_pearson for report in history)
    panel.plot(epochs, means, color=INK, linewidth=2.2, label=MEAN)
    best = int(np.nanargmax(means))
    label = f"best mean: {means[best]:.3f} (epoch {epochs[best]})"
    panel.plot(epochs[best], means[best], "o", color=RED, zorder=4, label=label)
    panel.set_ylabel("Pearson on validation clips (-1 to 1)")


def _drawn(values: Iterable[float | None]) -> list[float]:
    """Return values as matplotlib leaves gaps: NaN where there is none."""
    return [math.nan if value is None else value for value in values]


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, sizes in inches."""
    with in_folder(NEUTRAL_FOLDER):  # matplotlib takes settings from a file of the current folder
        from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    figure.get_layout_engine().set(h_pad=0.09, w_pad=0.07)  # type: ignore[union-attr, call-arg]
    return figure


def add_legend(figure: Figure, panels: Iterable[Axes], *, ncols: int) -> None:
    """Explain below the panels what any of them shows."""
    shown = {
        label: handle
        for panel in panels
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        shown.values(),
        shown.keys(),
        loc="outside lower center",
        ncols=ncols,
        frameon=False,
        fontsize=9,
    )


def literal(text: str) -> str:
    """Return text that is no formula in a picture: between two $ matplotlib reads one."""
    return text.replace("$", r"\$")


def plain_axes(panel: Axes) -> None:
    """Leave out of a panel what does not help to read it."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(PALE)
    panel.tick_params(colors=INK, labelsize=9)
    panel.xaxis.label.set_color(INK)
    panel.yaxis.label.set_color(INK)
    panel.grid(color=BAND, linewidth=0.8)
    panel.set_axisbelow(True)
