"""The plan of an ablation: the cells of the paper's Table 2 for a recipe, seeds and id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from emi_model.architecture.config import EmiConfig
from emi_model.errors import CheckpointError, ConfigError, LabelError
from emi_model.modalities import AUDIO, TRANSCRIPT
from emi_model.training.recipes import Recipe
from tasks.comparison.axes import without_modality
from tasks.comparison.cell import CellClips, CellJob, CellRun
from tasks.comparison.origins import Origin, load_origin, with_encoders_here
from tasks.comparison.workers import journal_of
from tasks.home import home
from tasks.labels.labelled_clips import LabelledAudio
from tasks.labels.splits import TRAIN, VALID
from tasks.training.plan import facts_of_inputs

FULL = "full"
SWITCHES = MappingProxyType(
    {
        "global_vector": "global vector",
        "regression_head": "regression head",
        "lstm": "LSTM",
        "vad_head": "VAD head",
    }
)
"""The four switches of `EmiConfig` that Table 2 turns off, with the paper's names."""


OF_THE_PAPERS_HEADS = (None, "paper", "late", "gated")
"""Fusions whose heads the switches describe."""


class Origins(NamedTuple):
    """Where an ablation's first weights come from: the grid's, and each swapped backbone's."""

    grid: Origin
    swaps: tuple[Origin, ...]


@dataclass(frozen=True)
class Cell:
    """One configuration of an ablation.

    Attributes:
        name: unique within the ablation.
        recipe: with this cell's switches, and without the losses of what they turn off.
        origin: of its first weights.
        fresh_head: initialise a new VAD head if its backbone has none.
    """

    name: str
    recipe: Recipe
    origin: Origin
    fresh_head: bool = False

    @property
    def has_fresh_head(self) -> bool:
        """Return whether the VAD head is new although the backbone is not."""
        return self.fresh_head and not self.origin.has_head

    def seeded(self, seed: int) -> Recipe:
        """Return the recipe with another seed."""
        return replace(self.recipe, train=replace(self.recipe.train, seed=seed))


@dataclass(frozen=True, eq=False)
class Ablation:
    """A grid of trainings on the same clips.

    Attributes:
        ablation_id: hash (hex) of what all cells share: labels, clips and their inputs, recipe,
            its encoders and its backbone. With more seeds or more backbones it is the same
            ablation, with more trainings.
        recipe: that the cells vary.
        gathered: labels and clips, of the splits ``train`` and ``valid``.
        cells: ``full`` first.
        seeds: the recipe's first.
    """

    ablation_id: str
    recipe: Recipe
    gathered: LabelledAudio
    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]
    kind: ClassVar[str] = "ablation"

    @property
    def grid_id(self) -> str:
        """The ablation's id."""
        return self.ablation_id

    @property
    def folder(self) -> Path:
        """Where trainings that are not done keep their state."""
        return home() / "training" / "ablations" / self.ablation_id

    @property
    def clips(self) -> CellClips:
        """What teaches, and what chooses the epoch, whose figures are recorded."""
        return CellClips(self.gathered.of_split(TRAIN), self.gathered.of_split(VALID))

    @property
    def runs(self) -> tuple[CellRun, ...]:
        """Return all trainings: the whole grid with one seed, then with the next."""
        return tuple(CellRun(cell.name, seed) for seed in self.seeds for cell in self.cells)

    def cell(self, name: str) -> Cell:
        """Return the cell with a name."""
        return next(cell for cell in self.cells if cell.name == name)

    def name_of(self, cell: str) -> str:
        """Return a cell's name, by which it goes everywhere."""
        return cell

    def job(self, run: CellRun) -> CellJob:
        """Return what one training needs."""
        cell = self.cell(run.cell)
        return CellJob(
            recipe=cell.seeded(run.seed),
            targets=self.gathered.labels.targets,
            backbone=cell.origin.folder,
            fresh_head=cell.fresh_head,
            journal=journal_of(self.folder, run),
        )


def find_origins(
    recipe: Recipe, *, start: str | None = None, backbones: Sequence[str] = ()
) -> Origins:
    """Return where an ablation's first weights come from; each model is loaded once, to check it.

    Args:
        recipe: its backbone, if it has one, is where every cell starts.
        start: reference of a model to start from instead.
        backbones: references of models; each gets a row of its own.

    Raises:
        ModelNotFound: a reference names no model that can be loaded.
        CheckpointError: a model is no wav2vec2 model, or the one to start from has no VAD head.
    """
    reference = start or recipe.backbone
    origin = Origin() if reference is None else load_origin(reference)
    if not origin.has_head:
        raise CheckpointError(
            f"{reference}: has no VAD head, which would be newly initialised: start from a model "
            "with one, and name this as a backbone for a row of its own"
        )
    return Origins(origin, tuple(map(load_origin, backbones)))


def plan_ablation(
    gathered: LabelledAudio, recipe: Recipe, origins: Origins, *, num_seeds: int
) -> Ablation:
    """Return the ablation of a recipe on labelled audio.

    Args:
        gathered: with the splits ``train`` and ``valid``.
        recipe: that each cell varies.
        origins: as `find_origins` returns them.
        num_seeds: the recipe's seed and those after it.

    Raises:
        ConfigError: ``num_seeds`` is below 1.
        LabelError: there is no clip to learn from, or none to compare on.
        EmiError: an encoder cannot be loaded.
    """
    if num_seeds < 1:
        raise ConfigError(f"found {num_seeds} seeds, expected 1 or more")
    for split in (TRAIN, VALID):
        if not gathered.of_split(split):
            lost = f", {len(gathered.missing)} labelled clips have no audio"
            raise LabelError(f"found no clip in the split {split!r}{lost}: an ablation needs some")
    here, encoders = with_encoders_here(recipe)
    cells = {cell.name: cell for cell in (*grid(here, origins.grid), *swaps(here, origins))}
    first = recipe.train.seed
    return Ablation(
        ablation_id=_ablation_id(gathered, recipe, origins.grid, encoders),
        recipe=recipe,
        gathered=gathered,
        cells=tuple(cells.values()),
        seeds=tuple(range(first, first + num_seeds)),
    )


def grid(recipe: Recipe, origin: Origin) -> list[Cell]:
    """Return the full model's cell, one for each switch turned off, one without each modality.

    A switch that changes nothing in the recipe's model has no cell. A modality has one where every
    clip has another that the model needs, so that all cells learn from the same clips.
    """
    return [
        Cell(FULL, recipe, origin),
        *(
            Cell(f"without {SWITCHES[name]}", _without(recipe, name), origin)
            for name in _effective(recipe.model)
        ),
        *(
            Cell(f"without {name}", without_modality(recipe, name), origin)
            for name in _dispensable(recipe.model)
        ),
    ]


def swaps(recipe: Recipe, origins: Origins) -> list[Cell]:
    """Return a cell of the full model for each of the other backbones."""
    return [
        Cell(f"{FULL} on {origin.name}@{origin.sha256[:8]}", recipe, origin, fresh_head=True)
        for origin in origins.swaps
    ]


def _without(recipe: Recipe, switch: str) -> Recipe:
    off: dict[str, Any] = {switch: False}
    model = replace(recipe.model, **off)
    weight = recipe.train.vad_loss_weight if model.vad_head else 0.0
    return replace(recipe, model=model, train=replace(recipe.train, vad_loss_weight=weight))


def _effective(model: EmiConfig) -> list[str]:
    """Return the switches that change a model."""
    found = {"vad_head"} if AUDIO in model.branches else set()
    fusion = None if model.fusion is None else model.fusion["name"]
    if fusion in OF_THE_PAPERS_HEADS:
        found.add("regression_head")
        if set(model.branches) != {TRANSCRIPT}:  # the words have a vector alone
            found |= {"global_vector", "lstm"}
    return [name for name in SWITCHES if name in found]


def _dispensable(model: EmiConfig) -> list[str]:
    """Return the modalities without which a model still has one that every clip has."""
    anchor = None
    if model.fusion is not None and model.fusion["name"] == "text_anchored":
        anchor = model.fusion.get("anchor", TRANSCRIPT)
    return [name for name in model.branches if name != anchor and set(model.required) - {name}]


def _ablation_id(
    gathered: LabelledAudio, recipe: Recipe, origin: Origin, encoders: Mapping[str, str]
) -> str:
    splits = {
        split: [clip.content_sha256 for clip in clips] for split, clips in gathered.clips.items()
    }
    decides = {
        **facts_of_inputs(encoders, gathered.extractors),
        "snapshot": gathered.labels.snapshot,
        "split": gathered.labels.split_sha256,
        "clips": splits,
        "recipe": {
            **asdict(recipe),
            "train": recipe.train.to_dict(),
            "model": recipe.model.to_dict(),
        },
        "start": origin.sha256,
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
