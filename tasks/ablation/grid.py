"""What an ablation trains: the paper's Table 2 over a recipe, its cells, seeds and name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from emi_model.checkpoints.pretrained import load_backbone
from emi_model.checkpoints.resolve import resolve
from emi_model.errors import CheckpointError, ConfigError, LabelError
from emi_model.training.recipes import Recipe
from tasks.labels.labelled_clips import LabelledAudio
from tasks.labels.splits import TRAIN, VALID
from tasks.registry.registry import resolve_model
from tasks.training.plan import FROM_SCRATCH

FULL = "full"
SWITCHES = MappingProxyType(
    {
        "global_vector": "global vector",
        "regression_head": "regression head",
        "lstm": "LSTM",
        "vad_head": "VAD head",
    }
)
"""The four switches of `EmiConfig` that Table 2 turns off, in the paper's words."""


class CellRun(NamedTuple):
    """One training of an ablation: a cell under a seed."""

    cell: str
    seed: int


@dataclass(frozen=True)
class Origin:
    """Where the first weights of a cell come from.

    Attributes:
        name: of the model that has them.
        licence: of these weights.
        folder: where they lie on this machine; None: all weights are new.
        sha256: hash of the model, hex; empty where all weights are new.
        has_head: whether it has a VAD head.
        num_layers: of its encoder.
        loses_masks: its config asks for SpecAugment, but it has no embedding for masked frames.
    """

    name: str = FROM_SCRATCH
    licence: str = "none"
    folder: str | None = None
    sha256: str = ""
    has_head: bool = True
    num_layers: int = 0
    loses_masks: bool = False


class Origins(NamedTuple):
    """Where all weights of an ablation come from: of the grid, and of each row beside it."""

    grid: Origin
    swaps: tuple[Origin, ...]


@dataclass(frozen=True)
class Cell:
    """One configuration of an ablation.

    Attributes:
        name: new to the ablation.
        recipe: with this cell's switches, and the losses that they leave.
        origin: of its first weights.
        fresh_head: its VAD head is new where its backbone has none.
    """

    name: str
    recipe: Recipe
    origin: Origin
    fresh_head: bool = False

    @property
    def has_fresh_head(self) -> bool:
        """Whether a VAD head is new beside a backbone that is not."""
        return self.fresh_head and not self.origin.has_head

    def seeded(self, seed: int) -> Recipe:
        """Return its recipe under another seed."""
        return replace(self.recipe, train=replace(self.recipe.train, seed=seed))


@dataclass(frozen=True, eq=False)
class Ablation:
    """A grid of trainings on the same clips.

    Attributes:
        ablation_id: hash (hex) of what all its cells share: labels, clips, recipe and its backbone.
            More seeds, or more backbones, add cells to the same ablation.
        recipe: as asked for.
        gathered: labels and clips, of the splits ``train`` and ``valid``.
        cells: ``full`` first.
        seeds: the recipe's first.
    """

    ablation_id: str
    recipe: Recipe
    gathered: LabelledAudio
    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]

    @property
    def runs(self) -> tuple[CellRun, ...]:
        """All trainings: the whole grid under one seed, then under the next."""
        return tuple(CellRun(cell.name, seed) for seed in self.seeds for cell in self.cells)

    def cell(self, name: str) -> Cell:
        """Return the cell of a name."""
        return next(cell for cell in self.cells if cell.name == name)


def find_origins(
    recipe: Recipe, *, start: str | None = None, backbones: Sequence[str] = ()
) -> Origins:
    """Return where an ablation's weights are; each model is loaded once, to check it.

    Args:
        recipe: every cell starts from its backbone if it has one.
        start: reference of a model to start from in place of that.
        backbones: references; each becomes a row of its own.

    Raises:
        ModelNotFound: a reference names nothing that can be loaded.
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
    """Return the ablation of a recipe on gathered clips.

    Args:
        gathered: with the splits ``train`` and ``valid``.
        recipe: every cell is trained like it.
        origins: of `find_origins`.
        num_seeds: the recipe's seed and those after it.

    Raises:
        ConfigError: less than one seed.
        LabelError: no clip to learn from, or none to compare on.
    """
    if num_seeds < 1:
        raise ConfigError(f"found {num_seeds} seeds, expected 1 or more")
    for split in (TRAIN, VALID):
        if not gathered.of_split(split):
            lost = f", {len(gathered.missing)} labelled clips have no audio"
            raise LabelError(f"found no clip in the split {split!r}{lost}: an ablation needs some")
    cells = {cell.name: cell for cell in (*grid(recipe, origins.grid), *swaps(recipe, origins))}
    first = recipe.train.seed
    return Ablation(
        ablation_id=_ablation_id(gathered, recipe, origins.grid),
        recipe=recipe,
        gathered=gathered,
        cells=tuple(cells.values()),
        seeds=tuple(range(first, first + num_seeds)),
    )


def grid(recipe: Recipe, origin: Origin) -> list[Cell]:
    """Return the full model's cell and one for each switch turned off."""
    return [
        Cell(FULL, recipe, origin),
        *(
            Cell(f"without {said}", _without(recipe, name), origin)
            for name, said in SWITCHES.items()
        ),
    ]


def swaps(recipe: Recipe, origins: Origins) -> list[Cell]:
    """Return the full model's cell over each of other backbones."""
    return [
        Cell(f"{FULL} on {origin.name}@{origin.sha256[:8]}", recipe, origin, fresh_head=True)
        for origin in origins.swaps
    ]


def load_origin(reference: str) -> Origin:
    """Return where the weights are that a reference names; they are loaded once, to check them.

    Raises:
        ModelNotFound: it names nothing that can be loaded.
        CheckpointError: it is no wav2vec2 model, or not all of one.
    """
    found = resolve_model(reference)
    loaded = load_backbone(found)
    return Origin(
        name=loaded.name,
        licence=loaded.licence,
        folder=str(resolve(found).absolute()),
        sha256=loaded.sha256,
        has_head=bool(loaded.head),
        num_layers=loaded.num_layers,
        loses_masks=loaded.would_mask and not loaded.has_mask_embedding,
    )


def _without(recipe: Recipe, switch: str) -> Recipe:
    off: dict[str, Any] = {switch: False}
    model = replace(recipe.model, **off)
    weight = recipe.train.vad_loss_weight if model.vad_head else 0.0
    return replace(recipe, model=model, train=replace(recipe.train, vad_loss_weight=weight))


def _ablation_id(gathered: LabelledAudio, recipe: Recipe, origin: Origin) -> str:
    splits = {
        split: [clip.content_sha256 for clip in clips] for split, clips in gathered.clips.items()
    }
    decides = {
        "snapshot": gathered.labels.snapshot,
        "split": gathered.labels.split_sha256,
        "clips": splits,
        "recipe": {**asdict(recipe), "model": recipe.model.to_dict()},
        "start": origin.sha256,
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
