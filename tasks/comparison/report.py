"""The report of a comparison: tables and notes, and the files and rows that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emi_model.errors import StoreError
from emi_model.metrics.agreement import UNDEFINED
from emi_model.metrics.bootstrap import FEW_GROUPS
from emi_model.metrics.speaker_draws import FEWEST_SPEAKERS
from emi_model.metrics.systems import CHANCE, SYSTEM_RESAMPLES
from tasks.comparison.cell import CellRun
from tasks.comparison.picture import comparison_plot
from tasks.comparison.plan import Comparison
from tasks.comparison.run import TrainedSystem
from tasks.comparison.summary import FEWER_RESAMPLES, ReportId, comparison_rows
from tasks.evaluation.plots import save_picture
from tasks.provenance import new_run_id
from tasks.schema.registers import MEAN, register_table
from tasks.schema.tables import COMPARISONS
from tasks.storage.open import child, open_folder
from tasks.storage.parquet_files import parquet_bytes
from tasks.store.store import ResultsStore

MARKDOWN, PARQUET, REPORT_PICTURE = "comparison.md", "comparison.parquet", "comparison.png"
_P_DIGITS = 4

ReportRow = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class ComparisonReport:
    """A comparison with its results.

    Attributes:
        comparison: the plan.
        rows: by the columns of `COMPARISONS_SCHEMA`.
    """

    comparison: Comparison
    rows: Sequence[ReportRow]

    @classmethod
    def of(
        cls,
        comparison: Comparison,
        trainings: Mapping[CellRun, TrainedSystem],
        failed: Mapping[CellRun, str],
    ) -> ComparisonReport:
        """Return the report on the trainings that are done."""
        made = ReportId(new_run_id(), datetime.now(UTC))
        return cls(comparison, comparison_rows(comparison, trainings, failed, made))

    def best_first(self, target: str = MEAN, subset: str | None = None) -> list[ReportRow]:
        """Return the rows of a target on some clips, the highest correlation first."""
        rows = [row for row in self.rows if (row["target"], row["subset"]) == (target, subset)]
        return sorted(
            rows,
            key=lambda row: -2.0 if _get(row, "pearson") is None else row["pearson"],
            reverse=True,
        )

    def columns(self) -> list[str]:
        """Return the headings of the first table."""
        return [
            *("system", f"{MEAN} Pearson", "sd of seeds", "CCC"),
            *(f"less {self.comparison.reference}", "p (Holm)", "parameters", "training s"),
            *("clips/s", "MiB", "seeds"),
        ]

    def cells(self) -> list[list[str]]:
        """Return the lines of the first table as text, one a system."""
        return [self._line(row) for row in self.best_first()]

    def tables(self) -> Iterator[tuple[str, list[str], list[list[str]]]]:
        """Yield the further tables, each with its title and headings: by target, by subset."""
        targets = self.comparison.gathered.labels.targets
        yield (
            "Pearson by target",
            ["system", *targets],
            self._by({target: (target, None) for target in targets}),
        )
        subsets = dict.fromkeys(row["subset"] for row in self.rows if row["subset"] is not None)
        if subsets:
            counts = {row["subset"]: row["num_clips"] for row in self.rows}
            headings = [f"{name} ({counts[name]})" for name in subsets]
            yield (
                f"{MEAN} Pearson by subset (clips)",
                ["system", *headings],
                self._by({name: (MEAN, name) for name in subsets}),
            )

    def notes(self) -> list[str]:
        """Return what a reader of the tables has to know."""
        return [*self._on_clips(), *self._on_statistics(), *self._on_gaps()]

    def write(self, location: str | Path, store: ResultsStore) -> None:
        """Write the report as Markdown, Parquet, a picture, and rows of a store.

        Args:
            location: folder on a disk or in a bucket; an earlier report in it is replaced.
            store: its register gets the rows.

        Raises:
            StoreError: the folder or the store cannot be written.
        """
        table = register_table(COMPARISONS, self.rows)
        try:
            folder = open_folder(str(location))
            folder.write(PARQUET, parquet_bytes(table))
            folder.write(MARKDOWN, self.markdown().encode())
        except OSError as error:
            raise StoreError(f"{location}: the report cannot be written ({error})") from error
        rows = [{name: _get(row, name) for name in table.schema.names} for row in self.best_first()]
        save_picture(
            comparison_plot(rows, title=self._title()), child(str(location), REPORT_PICTURE)
        )
        report = self.rows[0]["report"]
        store.record(COMPARISONS, f"{self.comparison.comparison_id[:16]}-{report}", table)

    def markdown(self) -> str:
        """Return the report as Markdown."""
        lines = [f"# {self._title()}", "", *markdown_table(self.columns(), self.cells()), ""]
        for title, columns, cells in self.tables():
            lines += [f"## {title}", "", *markdown_table(columns, cells), ""]
        lines += [
            *(f"- {note}" for note in self.notes()),
            "",
            f"![the systems]({REPORT_PICTURE})",
            "",
        ]
        return "\n".join(lines)

    def _title(self) -> str:
        found = self.comparison
        shuffled = ", labels of the training shuffled" if found.shuffled else ""
        return f"Comparison of {len(found.systems)} systems, split {found.split}{shuffled}"

    def _line(self, row: ReportRow) -> list[str]:
        failed = f" ({row['num_failed']} failed)" if row["num_failed"] else ""
        if not row["num_seeds"]:
            return [row["name"], *["-"] * 9, f"0{failed}"]
        is_reference = row["name"] == row["reference"]
        return [
            row["name"],
            interval_text(row, "pearson"),
            _number(_get(row, "pearson_sd")),
            interval_text(row, "ccc"),
            "reference" if is_reference else interval_text(row, "difference", sign=True),
            "-" if is_reference else _p_value(_get(row, "p_holm")),
            f"{row['num_parameters']:,}",
            _number(_get(row, "train_seconds"), digits=1),
            _number(_get(row, "clips_per_second"), digits=0),
            _number(_get(row, "memory_mib"), digits=0),
            f"{row['num_seeds']}{failed}",
        ]

    def _by(self, wanted: Mapping[str, tuple[str, str | None]]) -> list[list[str]]:
        found = {(row["cell"], row["target"], row["subset"]): row for row in self.rows}
        return [
            [
                row["name"],
                *(interval_text(found[row["cell"], *key], "pearson") for key in wanted.values()),
            ]
            for row in self.best_first()
        ]

    def _on_clips(self) -> Iterator[str]:
        found, labels = self.comparison, self.comparison.gathered.labels
        speakers = self.rows[0]["num_speakers"] if self.rows else None
        of = f" of {speakers} speakers" if speakers else ""
        clips = found.clips
        yield (
            f"Measured on {len(clips.measured or ())} clips{of}, split `{found.split}`, which "
            f"taught nothing and chose nothing: {len(clips.train)} training clips taught, "
            f"{len(clips.choose)} training clips of other speakers chose the epoch. "
            f"{len(found.gathered.missing)} labelled clips cannot be read. Label snapshot "
            f"{labels.number} ({labels.snapshot[:12]}), comparison {found.comparison_id[:12]}."
        )
        last = [s.name for s in found.systems if s.variant.recipe.train.keep == "last"]
        if last:
            all_of = "" if len(last) == len(found.systems) else f" ({', '.join(last)})"
            yield f"Recipes that keep the last epoch choose none and learn from all{all_of}."
        if found.shuffled:
            yield (
                "A control: each training clip has the labels of another, so nothing can be learnt "
                "and a figure above chance would be an error of the method."
            )
        filled = {row["name"]: row["num_filled"] for row in self.best_first() if row["num_filled"]}
        if filled:
            told = ", ".join(f"{name} {count}" for name, count in filled.items())
            yield f"Clips that lack all modalities of a system get the mean training label: {told}."

    def _on_statistics(self) -> Iterator[str]:
        reference = self.comparison.reference
        other = "a constant, correlation 0" if reference == CHANCE else f"`{reference}`"
        named = any(clip.speaker for clip in self.comparison.clips.measured or ())
        drawn = "speakers" if named else "clips, as no speakers are known"
        yield (
            f"In brackets: 95 % bootstrap intervals. Each of {SYSTEM_RESAMPLES} resamples, of a "
            f"subset {FEWER_RESAMPLES}, draws {drawn}, the same for all systems, and trainings "
            "of each. A training that scores all clips alike counts as 0. p: two-sided, of the "
            f"difference to {other}, by Holm's correction for all systems of a table's column."
        )
        speakers = self.rows[0]["num_speakers"] if self.rows else None
        if speakers is not None and speakers < FEW_GROUPS:
            yield f"Of so few speakers ({speakers}) the intervals are somewhat too narrow."
        if speakers is not None and speakers < FEWEST_SPEAKERS:
            yield f"There is no p of fewer than {FEWEST_SPEAKERS} speakers: chance would seem sure."
        if any(len(seeds) < 2 for seeds in self.comparison.seeds.values()):
            yield "One seed: what another would change is in no interval; ask for more by --seeds."
        yield (
            "Training seconds and memory are of one process on one core or GPU. Clips a second: "
            "scored in float32 from cached inputs, what frozen encoders give of text and faces "
            "included."
        )

    def _on_gaps(self) -> Iterator[str]:
        for row in self.best_first():
            if row["reason"]:
                yield f"Failed: {row['name']} ({row['num_failed']}): {row['reason']}"


def interval_text(row: ReportRow, name: str, *, sign: bool = False) -> str:
    """Return a figure with its interval as text."""
    value, low, high = (_get(row, f"{name}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return UNDEFINED if row["num_seeds"] and name != "difference" else "-"
    form = "+.3f" if sign else ".3f"
    if low is None or high is None:
        return f"{value:{form}}"
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def markdown_table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    rows = [columns, ["---"] * len(columns), *lines]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]


def _get(row: ReportRow, name: str) -> Any:
    return row.get(name)


def _p_value(value: float | None) -> str:
    smallest = 10**-_P_DIGITS
    is_smaller = value is not None and value < smallest
    return f"< {smallest:.{_P_DIGITS}f}" if is_smaller else _number(value, digits=_P_DIGITS)


def _number(value: float | None, *, digits: int = 3) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
