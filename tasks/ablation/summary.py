"""The results of an ablation: mean and spread over seeds, each cell's difference to ``full``."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from emi_model.metrics.agreement import UNDEFINED, mean_defined
from tasks.ablation.grid import FULL, SWITCHES, Ablation, Cell
from tasks.comparison.cell import CellRun
from tasks.schema.fields import DOUBLE, TEXT, described
from tasks.schema.registers import MEAN

CellRow = Mapping[str, Any]


_COUNT = pa.int64()

REPORT_SCHEMA = pa.schema(
    [
        described("ablation", TEXT, "", "the ablation; its cells share it", nullable=False),
        described("cell", TEXT, "", "one configuration of it", nullable=False),
        described("recipe", TEXT, "", "", nullable=False),
        described("backbone", TEXT, "", "where its weights come from", nullable=False),
        described("backbone_licence", TEXT, "SPDX", "licence of these weights"),
        *(
            described(name, pa.bool_(), "", f"with the {label}", nullable=False)
            for name, label in SWITCHES.items()
        ),
        described("target", TEXT, "", f"the target, or {MEAN!r} over them", nullable=False),
        described("num_seeds", _COUNT, "", "seeds that are done", nullable=False),
        described("num_failed", _COUNT, "", "seeds that failed", nullable=False),
        described("num_defined", _COUNT, "", "seeds with a correlation", nullable=False),
        described("pearson", DOUBLE, "-1..1", "its mean over these; null where undefined"),
        described("pearson_sd", DOUBLE, "0..1", "standard deviation (n - 1); null below 2 seeds"),
        described("num_pairs", _COUNT, "", "seeds compared with the full model"),
        described(
            "difference", DOUBLE, "-2..2", "mean over these of cell less full; null for full"
        ),
        described("difference_sd", DOUBLE, "0..2", "standard deviation (n - 1) of these"),
        described("num_parameters", _COUNT, "", "of the model; null before the first seed is done"),
        described("seconds", DOUBLE, "s", "spent on training, mean over the seeds"),
    ]
)
"""One row for each cell and target, and one for the mean over targets, as the report is ordered."""


@dataclass(frozen=True)
class Spread:
    """Values over seeds.

    Attributes:
        mean: of the defined values; None if there are none.
        deviation: their standard deviation with n - 1; None for fewer than two.
        num: number of defined values.
    """

    mean: float | None
    deviation: float | None
    num: int


@dataclass(frozen=True)
class CellSummary:
    """The results of a cell over its seeds.

    Attributes:
        cell: the cell.
        num_seeds: seeds that are done.
        pearson: by target, and for `MEAN`.
        difference: to the full model with the same seeds, by target, and for `MEAN`; empty for
            the full model itself.
        num_pairs: seeds that are done for both.
        failed: causes by seed, of those that failed.
        num_parameters: of the model; None before the first seed is done.
        seconds: spent on training, mean over the seeds; None before the first seed is done.
    """

    cell: Cell
    num_seeds: int
    pearson: Mapping[str, Spread]
    difference: Mapping[str, Spread]
    num_pairs: int
    failed: Mapping[int, str]
    num_parameters: int | None
    seconds: float | None


def spread(values: Iterable[float | None]) -> Spread:
    """Return mean and standard deviation of the values that are not None."""
    defined = [value for value in values if value is not None]
    return Spread(
        mean=math.fsum(defined) / len(defined) if defined else None,
        deviation=statistics.stdev(defined) if len(defined) > 1 else None,
        num=len(defined),
    )


def summarise(
    ablation: Ablation, rows: Iterable[CellRow], failed: Mapping[CellRun, str]
) -> list[CellSummary]:
    """Return the results of every cell over its seeds, ``full`` first.

    Args:
        ablation: the plan.
        rows: of the register, only those of the plan's cells and seeds.
        failed: trainings that failed, with the cause.
    """
    targets = ablation.gathered.labels.targets
    found: dict[str, dict[int, dict[str, CellRow]]] = {cell.name: {} for cell in ablation.cells}
    for row in rows:
        found[row["cell"]].setdefault(row["seed"], {})[row["target"]] = row
    return [
        _summary(
            cell,
            targets,
            found[cell.name],
            found[FULL] if cell.name != FULL else {},
            {run.seed: cause for run, cause in failed.items() if run.cell == cell.name},
        )
        for cell in ablation.cells
    ]


def report_table(ablation: Ablation, summaries: Sequence[CellSummary]) -> pa.Table:
    """Return the report's rows in the order of `REPORT_SCHEMA`."""
    targets = (*ablation.gathered.labels.targets, MEAN)
    rows = [_row(ablation, summary, target) for summary in summaries for target in targets]
    return pa.Table.from_pylist(rows, REPORT_SCHEMA)


def format_spread(found: Spread | None, num_expected: int, *, sign: bool = False) -> str:
    """Return mean and deviation as text, with the number of values where some are undefined."""
    if found is None or not num_expected:
        return "-"
    if found.mean is None:
        return UNDEFINED
    text = f"{found.mean:+.3f}" if sign else f"{found.mean:.3f}"
    if found.deviation is not None:
        text += f" ± {found.deviation:.3f}"
    return text if found.num == num_expected else f"{text} ({found.num} of {num_expected})"


def _summary(
    cell: Cell,
    targets: Sequence[str],
    own: Mapping[int, Mapping[str, CellRow]],
    full: Mapping[int, Mapping[str, CellRow]],
    failed: Mapping[int, str],
) -> CellSummary:
    done = [own[seed] for seed in sorted(own)]
    pairs = [(own[seed], full[seed]) for seed in sorted(own) if seed in full]
    names = (*targets, MEAN)
    return CellSummary(
        cell=cell,
        num_seeds=len(done),
        pearson={name: spread(rows[name]["pearson"] for rows in done) for name in names},
        difference=_differences(targets, pairs) if cell.name != FULL else {},
        num_pairs=len(pairs),
        failed=failed,
        num_parameters=done[0][MEAN]["num_parameters"] if done else None,
        seconds=mean_defined(rows[MEAN]["seconds"] for rows in done),
    )


def _differences(
    targets: Sequence[str],
    pairs: Sequence[tuple[Mapping[str, CellRow], Mapping[str, CellRow]]],
) -> dict[str, Spread]:
    """Return differences seed by seed; their mean is over the targets that both cells have.

    With means over each cell's own targets, a model that predicts its weakest target as a constant
    would be compared by its better targets only.
    """
    each = [
        {name: _less(one[name]["pearson"], other[name]["pearson"]) for name in targets}
        for one, other in pairs
    ]
    found = {name: spread(differences[name] for differences in each) for name in targets}
    found[MEAN] = spread(mean_defined(differences.values()) for differences in each)
    return found


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _row(ablation: Ablation, summary: CellSummary, target: str) -> dict[str, Any]:
    cell, pearson = summary.cell, summary.pearson[target]
    difference = summary.difference.get(target)
    return {
        "ablation": ablation.ablation_id,
        "cell": cell.name,
        "recipe": ablation.recipe.name,
        "backbone": cell.origin.name,
        "backbone_licence": cell.origin.licence,
        **{name: getattr(cell.recipe.model, name) for name in SWITCHES},
        "target": target,
        "num_seeds": summary.num_seeds,
        "num_failed": len(summary.failed),
        "num_defined": pearson.num,
        "pearson": pearson.mean,
        "pearson_sd": pearson.deviation,
        "num_pairs": None if difference is None else difference.num,
        "difference": None if difference is None else difference.mean,
        "difference_sd": None if difference is None else difference.deviation,
        "num_parameters": summary.num_parameters,
        "seconds": summary.seconds,
    }
