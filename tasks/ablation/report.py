"""The report of an ablation: a table, notes on it, and the files that hold both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emi_model.errors import StoreError
from tasks.ablation.grid import FULL, Ablation
from tasks.ablation.summary import CellSummary, format_spread, report_table, summarise
from tasks.comparison.cell import CellRun
from tasks.comparison.report import markdown_table
from tasks.evaluation.plots import ablation_plot, save_picture
from tasks.labels.splits import TRAIN, VALID
from tasks.schema.registers import MEAN
from tasks.storage.open import child, open_folder
from tasks.storage.parquet_files import parquet_bytes

MARKDOWN_FILE, PARQUET_FILE, PICTURE_FILE = "ablation.md", "ablation.parquet", "ablation.png"

TABLE_2 = (
    "Rows are those of Table 2 of Hallmen et al. (arXiv 2403.11879): the full model, and global "
    "vector, regression head, LSTM and VAD head switched off one at a time; `full on ...` are its "
    "rows with another backbone. Its rows with several switched off and those with vision are not "
    "made. Regression head is read as the hidden layer of the fusion (Linear, tanh before the last "
    "Linear), VAD head as the three values beside each frame's hidden state. Of the paper's own "
    "numbers only that of the full model is known here, 0.386 (Hume-Vidmimic2, validation, from a "
    "secondary source); figures of another corpus are not to be compared with it."
)


@dataclass(frozen=True, eq=False)
class AblationReport:
    """An ablation with its results.

    Attributes:
        ablation: the plan.
        rows: of the register, those of the plan's cells and seeds.
        summaries: one of each cell, ``full`` first.
    """

    ablation: Ablation
    rows: Sequence[Mapping[str, Any]]
    summaries: Sequence[CellSummary]

    @classmethod
    def of(
        cls, ablation: Ablation, rows: Iterable[Mapping[str, Any]], failed: Mapping[CellRun, str]
    ) -> AblationReport:
        """Return the report on those rows of the register that the plan asks for."""
        place_of = {run: place for place, run in enumerate(ablation.runs)}
        asked = [row for row in rows if _run(row) in place_of]
        asked.sort(key=lambda row: place_of[_run(row)])
        return cls(ablation, asked, summarise(ablation, asked, failed))

    def columns(self) -> list[str]:
        """Return the headings of the table's columns."""
        targets = self.ablation.gathered.labels.targets
        return ["cell", MEAN, f"less {FULL}", *targets, "parameters", "seeds"]

    def cells(self) -> list[list[str]]:
        """Return the table's lines as text, one of each cell."""
        return [self._line(summary) for summary in self.summaries]

    def notes(self) -> list[str]:
        """Return what a reader of the table has to know."""
        return [*_notes(self.ablation), *_gaps(self.ablation, self.summaries), TABLE_2]

    def write(self, location: str | Path) -> None:
        """Write the report as Markdown, Parquet and a picture; an earlier one is replaced.

        Args:
            location: folder on a disk or in a bucket.

        Raises:
            StoreError: the folder cannot be written.
        """
        name = f"Ablation of recipe {self.ablation.recipe.name}"
        try:
            folder = open_folder(str(location))
            table = report_table(self.ablation, self.summaries)
            folder.write(PARQUET_FILE, parquet_bytes(table))
            folder.write(MARKDOWN_FILE, self.markdown().encode())
        except OSError as error:
            raise StoreError(f"{location}: the report cannot be written ({error})") from error
        title = f"{name}, {_seeds(self.ablation)}"
        picture = child(str(location), PICTURE_FILE)
        save_picture(ablation_plot(self.rows, title=title), picture)

    def markdown(self) -> str:
        """Return the report as Markdown."""
        origins = {summary.cell.origin: None for summary in self.summaries}
        backbones = [
            [origin.name, origin.licence, origin.sha256[:12] or "-", str(origin.num_layers or "-")]
            for origin in origins
        ]
        return "\n".join(
            [
                f"# Ablation of recipe `{self.ablation.recipe.name}`",
                "",
                *markdown_table(self.columns(), self.cells()),
                "",
                *(f"- {note}" for note in self.notes()),
                "",
                *markdown_table(["backbone", "licence", "SHA-256", "layers"], backbones),
                "",
                f"![mean Pearson of each cell]({PICTURE_FILE})",
                "",
            ]
        )

    def _line(self, summary: CellSummary) -> list[str]:
        targets = self.ablation.gathered.labels.targets
        done = summary.num_seeds
        count = summary.num_parameters
        return [
            summary.cell.name,
            format_spread(summary.pearson[MEAN], done),
            format_spread(summary.difference.get(MEAN), summary.num_pairs, sign=True),
            *(format_spread(summary.pearson[target], done) for target in targets),
            "-" if count is None else f"{count:,}",
            str(done) if not summary.failed else f"{done} ({len(summary.failed)} failed)",
        ]


def _notes(ablation: Ablation) -> list[str]:
    """Return notes on what was compared, and on cells that differ in more than their name says."""
    gathered, labels = ablation.gathered, ablation.gathered.labels
    train, valid = gathered.of_split(TRAIN), gathered.of_split(VALID)
    chosen = "; they chose the epoch, too" if ablation.recipe.train.keep == "best" else ""
    notes = [
        "Pearson's correlation, mean ± standard deviation (n - 1) over "
        f"{_seeds(ablation)}; `less {FULL}`: the same of the difference to the full model under "
        "the same seed.",
        f"Label snapshot {labels.number} ({labels.snapshot[:12]}), split {labels.split_sha256[:12]}"
        f": trained on {len(train)} clips, measured on {len(valid)} of `{VALID}`{chosen}; "
        f"{len(gathered.missing)} labelled clips have no audio. Ablation "
        f"{ablation.ablation_id[:12]}.",
    ]
    if ablation.recipe.train.vad_loss_weight:
        rated = sum(clip.vad is not None for clip in train)
        notes.append(
            f"The recipe learns VAD beside the targets ({rated} of {len(train)} clips are labelled "
            "with it); the cell without a VAD head is trained without that loss."
        )
    if fresh := [cell.name for cell in ablation.cells if cell.has_fresh_head]:
        notes.append(f"The VAD head is new where the backbone has none: {', '.join(fresh)}.")
    silent = "apply_spec_augment" not in ablation.recipe.model.backbone
    if silent and (lost := [cell.name for cell in ablation.cells if cell.origin.loses_masks]):
        notes.append(
            "SpecAugment is off where the backbone has no weights for masked frames, none were "
            f"made up: {', '.join(lost)}."
        )
    return notes


def _gaps(ablation: Ablation, summaries: Sequence[CellSummary]) -> list[str]:
    """Return notes on figures that are missing, and why they are."""
    notes = [
        f"Failed: {summary.cell.name}, seed {seed}: {cause}"
        for summary in summaries
        for seed, cause in summary.failed.items()
    ]
    undefined = "; ".join(filter(None, map(_undefined, summaries)))
    if undefined:
        notes.append(
            "Undefined, since labels or predictions are all alike, and left out of means, never "
            f"counted as 0 (in brackets: in how many seeds): {undefined}. `less {FULL}` is over "
            "the targets that both have."
        )
    if len(ablation.seeds) < 2:
        notes.append("One seed has no spread: ask for more with --seeds.")
    return notes


def _seeds(ablation: Ablation) -> str:
    seeds = ", ".join(map(str, ablation.seeds))
    return f"seed{'s' if len(ablation.seeds) > 1 else ''} {seeds}"


def _undefined(summary: CellSummary) -> str:
    """Return the targets whose correlation is undefined in a cell; empty if there are none."""
    counts = {name: summary.num_seeds - found.num for name, found in summary.pearson.items()}
    listed = ", ".join(f"{name} ({count})" for name, count in counts.items() if count)
    return f"{summary.cell.name}: {listed}" if listed else ""


def _run(row: Mapping[str, Any]) -> CellRun:
    return CellRun(row["cell"], row["seed"])
