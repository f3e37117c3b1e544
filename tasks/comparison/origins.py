"""Where the first weights of a cell come from."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from emi_model.checkpoints.encoders import load_encoder, references_of, with_encoder_paths
from emi_model.checkpoints.pretrained import load_backbone
from emi_model.checkpoints.resolve import resolve
from emi_model.training.recipes import Recipe
from tasks.registry.registry import resolve_model
from tasks.training.plan import FROM_SCRATCH


@dataclass(frozen=True)
class Origin:
    """Where the first weights of a cell come from.

    Attributes:
        name: of the model that has them.
        licence: of these weights.
        folder: of that model, on this machine; None: all weights are new.
        sha256: hash of the model, hex; empty where all weights are new.
        has_head: whether it has a VAD head.
        num_layers: of its encoder.
        loses_masks: its config turns SpecAugment on, but it has no embedding for masked frames.
    """

    name: str = FROM_SCRATCH
    licence: str = "none"
    folder: str | None = None
    sha256: str = ""
    has_head: bool = True
    num_layers: int = 0
    loses_masks: bool = False


def load_origin(reference: str) -> Origin:
    """Return the origin of the weights of a model; they are loaded once, to check them.

    Raises:
        ModelNotFound: the reference names no model that can be loaded.
        CheckpointError: it is no wav2vec2 model, or an incomplete one.
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


def with_encoders_here(
    recipe: Recipe, known: dict[str, str] | None = None
) -> tuple[Recipe, dict[str, str]]:
    """Return a recipe with its encoders' places on this machine, and their hashes by modality.

    Args:
        recipe: whose encoders are loaded, to check them and to know their hashes.
        known: hashes of encoders that other recipes have, too; those loaded now are added.

    Raises:
        EmiError: an encoder cannot be loaded.
    """
    known = {} if known is None else known
    found = {}
    for modality, reference in references_of(recipe.model).items():
        own = recipe.model.branches[modality]
        key = f"{modality} {json.dumps(dict(own), sort_keys=True, default=str)}"
        if key not in known:
            known[key] = load_encoder(reference, modality, own).sha256
        found[modality] = known[key]
    return replace(recipe, model=with_encoder_paths(recipe.model)), found
