"""The result of the demo, and how it is shown."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from emi_model.metrics.agreement import TargetMetrics, mean_pearson
from flows.display.console import PlainConsole
from flows.display.tables import plain_table, show

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class DemoReport:
    """The result of the demo.

    Attributes:
        metrics: of each target on the held-out clips.
        num_held_out: clips that the metrics were computed from.
        rejections: clip id, reason, detail of each rejected clip.
        answers: to the demo's questions, by their first line.
        by_modalities: mean Pearson where the model gets some modalities alone; empty where it takes
            one.
    """

    metrics: Mapping[str, TargetMetrics]
    num_held_out: int
    rejections: pa.Table
    answers: Mapping[str, pa.Table]
    by_modalities: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def mean_pearson(self) -> float | None:
        """Mean over the targets, the challenge's metric."""
        return mean_pearson(self.metrics)


def show_demo(report: DemoReport, folder: Path, out: TextIO) -> None:
    """Write the demo's correlations, its rejections, its questions and their answers."""
    console = PlainConsole(file=out)
    metrics = [(name, figures.pearson) for name, figures in report.metrics.items()]
    console.print(f"\nPearson on {report.num_held_out} clips of speakers held out of training:")
    show(plain_table(["target", "pearson"], [*metrics, ("mean", report.mean_pearson)]), out)
    if report.by_modalities:
        console.print("\nThe same model with some of what it takes withheld, mean Pearson:")
        show(plain_table(["modalities", "pearson"], list(report.by_modalities.items())), out)
    if report.rejections.num_rows:
        console.print("\nRejected, each a row with its reason:")
        show(plain_table(*_cells(report.rejections)), out)
    for question, found in report.answers.items():
        console.print(f"\n{question}")
        show(plain_table(*_cells(found)), out)
    console.print(
        f"\nThe same on your clips: emi process FOLDER --results DIR --model {_quoted(folder)}",
        soft_wrap=True,  # a command that is copied has to stay one line
    )


def _quoted(folder: Path) -> str:
    return shlex.quote(str(folder / "model"))


def _cells(table: pa.Table) -> tuple[list[str], list[list[Any]]]:
    return table.schema.names, [list(row.values()) for row in table.to_pylist()]
