"""The plan of a comparison: its systems, their seeds, the clips, and what stays the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from emi_model.architecture.config import OPTIONAL
from emi_model.errors import ConfigError, LabelError
from emi_model.metrics.systems import CHANCE
from emi_model.modalities import AUDIO
from emi_model.training.recipes import Recipe
from tasks.comparison.axes import Variant, short_names
from tasks.comparison.cell import CellClips, CellJob, CellRun
from tasks.comparison.inner_split import inner_split, with_shuffled_labels
from tasks.comparison.origins import Origin, load_origin, with_encoders_here
from tasks.comparison.workers import journal_of
from tasks.home import home
from tasks.labels.labelled_clips import LabelledAudio
from tasks.labels.splits import TRAIN

ID_DIGITS = 16


@dataclass(frozen=True)
class System:
    """One configuration of a comparison.

    Attributes:
        name: in this comparison's report.
        cell: id: hash (hex) of all that decides a training but its seed.
        variant: the recipe and what it is on each axis.
        origin: of its first weights.
    """

    name: str
    cell: str
    variant: Variant
    origin: Origin


@dataclass(frozen=True, eq=False)
class Comparison:
    """Systems on the same clips.

    Attributes:
        comparison_id: hash (hex) of labels and clips; more systems or seeds leave it as it is.
        gathered: labels and clips.
        split: whose clips are measured.
        clips: what teaches, what chooses the epoch, and what is measured.
        systems: in the order of the grid.
        seeds: of the trainings of each.
        reference: name of the system to compare with, or `CHANCE`.
        shuffled: the labels of the training are shuffled.
    """

    comparison_id: str
    gathered: LabelledAudio
    split: str
    clips: CellClips
    systems: tuple[System, ...]
    seeds: Mapping[str, tuple[int, ...]]
    reference: str
    shuffled: bool = False
    kind: ClassVar[str] = "comparison"

    @property
    def grid_id(self) -> str:
        """The comparison's id."""
        return self.comparison_id

    @property
    def runs(self) -> tuple[CellRun, ...]:
        """Return all trainings: every system with its first seed, then with the next."""
        count = max(map(len, self.seeds.values()))
        return tuple(
            CellRun(system.cell, self.seeds[system.cell][place])
            for place in range(count)
            for system in self.systems
        )

    @cached_property
    def by_cell(self) -> dict[str, System]:
        """The systems by their ids."""
        return {system.cell: system for system in self.systems}

    @property
    def folder(self) -> Path:
        """Where trainings that are not done keep their state."""
        return home() / "training" / "comparisons" / self.comparison_id

    def name_of(self, cell: str) -> str:
        """Return the name of a system by its id."""
        return self.by_cell[cell].name

    def job(self, run: CellRun) -> CellJob:
        """Return what one training needs."""
        system = self.by_cell[run.cell]
        recipe = system.variant.recipe
        return CellJob(
            recipe=replace(recipe, train=replace(recipe.train, seed=run.seed)),
            targets=self.gathered.labels.targets,
            backbone=system.origin.folder,
            fresh_head=True,
            journal=journal_of(self.folder, run),
            needs=recipe.model.needs,
        )


def union_recipe(recipes: Sequence[Recipe]) -> Recipe:
    """Return a recipe whose model takes the modalities of all; one that any needs is needed.

    So a clip is there for all systems or for none.
    """
    branches: dict[str, dict[str, Any]] = {}
    for recipe in recipes:
        for name, own in recipe.model.branches.items():
            merged = branches.setdefault(name, dict(own))
            if not own.get(OPTIONAL):
                merged.pop(OPTIONAL, None)
    first = next((recipe for recipe in recipes if AUDIO in recipe.model.branches), recipes[0])
    return replace(first, model=replace(first.model, branches=branches))


def plan_systems(
    variants: Sequence[Variant],
    backbone: str | None = None,
    extractors: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[System, ...]:
    """Return the systems of a grid; backbones and encoders are loaded once, to know their hashes.

    Args:
        variants: of the grid.
        backbone: reference of the model to start from in place of the recipes' own.
        extractors: facts of what makes the inputs, by modality.

    Raises:
        EmiError: a backbone or an encoder cannot be loaded.
    """
    origins: dict[str, Origin] = {}
    hashes: dict[str, str] = {}
    systems = []
    for name, variant in zip(short_names(variants), variants, strict=True):
        recipe, origin = variant.recipe, Origin()
        reference = backbone or recipe.backbone
        if reference and AUDIO in recipe.model.branches:
            origin = origins.setdefault(reference, origins.get(reference) or load_origin(reference))
            if not origin.has_head and not recipe.train.vad_loss_weight:
                recipe = replace(recipe, model=replace(recipe.model, vad_head=False))
        recipe, encoders = with_encoders_here(recipe, hashes)
        cell = _cell_id(recipe, origin, encoders, extractors or {})
        systems.append(System(name, cell, replace(variant, recipe=recipe), origin))
    return tuple({system.cell: system for system in systems}.values())


def plan_comparison(
    gathered: LabelledAudio,
    systems: Sequence[System],
    *,
    split: str,
    num_seeds: int,
    inner_share: float,
    reference: str | None = None,
    shuffled: bool = False,
) -> Comparison:
    """Return the comparison of systems on labelled clips.

    Args:
        gathered: with the splits ``train`` and ``split``.
        systems: at least one.
        split: whose clips are measured.
        num_seeds: of each system: its recipe's seed and those after it.
        inner_share: of the training clips that choose the epoch, where a recipe chooses one.
        reference: name of the system to compare with, or `CHANCE`; default: the first; where
            labels are shuffled, chance.
        shuffled: shuffle the labels of the training: a control, from which nothing can be learnt.

    Raises:
        ConfigError: no system, no seed, no such share or reference.
        LabelError: there is no clip to learn from, to choose the epoch by, or to measure.
    """
    if not systems or num_seeds < 1:
        raise ConfigError(f"found {len(systems)} systems and {num_seeds} seeds, expected 1 or more")
    for name in (TRAIN, split):
        if not gathered.of_split(name):
            lost = f", {len(gathered.missing)} labelled clips cannot be read"
            raise LabelError(f"found no clip in the split {name!r}{lost}: a comparison needs some")
    train, measured = gathered.of_split(TRAIN), gathered.of_split(split)
    if shuffled:
        train = with_shuffled_labels(train)
    learnt, chosen = train, train[:0]
    if any(system.variant.recipe.train.keep == "best" for system in systems):
        learnt, chosen = inner_split(train, inner_share)
    clips = CellClips(learnt, chosen, measured)
    seeds = {system.cell: system.variant.recipe.train.seed for system in systems}
    return Comparison(
        comparison_id=_comparison_id(gathered, split, (learnt, chosen, measured), shuffled),
        gathered=gathered,
        split=split,
        clips=clips,
        systems=tuple(systems),
        seeds={cell: tuple(range(first, first + num_seeds)) for cell, first in seeds.items()},
        reference=_reference(systems, reference, shuffled),
        shuffled=shuffled,
    )


def _reference(systems: Sequence[System], wanted: str | None, shuffled: bool) -> str:
    if wanted is None:
        return CHANCE if shuffled else systems[0].name
    if wanted == CHANCE:
        return CHANCE
    names = [system.name for system in systems]
    found = [name for name in names if name == wanted] or [
        system.name for system in systems if set(wanted.split()) <= {*system.variant.labels}
    ]
    if len(found) != 1:
        raise ConfigError(
            f"{len(found)} systems are called {wanted!r}, expected one of {CHANCE}, "
            f"{', '.join(names)}"
        )
    return found[0]


def _cell_id(
    recipe: Recipe,
    origin: Origin,
    encoders: Mapping[str, str],
    extractors: Mapping[str, Mapping[str, str]],
) -> str:
    branches = {
        name: {**own, "encoder": encoders[name]} if name in encoders else dict(own)
        for name, own in recipe.model.branches.items()
    }
    train = {name: value for name, value in recipe.train.to_dict().items() if name != "seed"}
    model = recipe.model.own_fields() | {"branches": branches}
    decides = {
        "train": train,
        "model": {name: value for name, value in model.items() if name != "targets"},
        "filterbank": recipe.filterbank,
        "origin": origin.sha256,
        "extractors": {name: dict(extractors.get(name, {})) for name in branches},
    }
    return _hash_of(decides)[:ID_DIGITS]


def _comparison_id(
    gathered: LabelledAudio, split: str, parts: Iterable[Sequence[Any]], shuffled: bool
) -> str:
    decides = {
        "snapshot": gathered.labels.snapshot,
        "split": [split, gathered.labels.split_sha256],
        "clips": [[clip.content_sha256 for clip in clips] for clips in parts],
        "shuffled": shuffled,
    }
    return _hash_of(decides)


def _hash_of(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
