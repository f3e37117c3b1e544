"""Where the first weights of a cell come from."""

from __future__ import annotations

from dataclasses import dataclass

from emi_model.checkpoints.pretrained import load_backbone
from emi_model.checkpoints.resolve import resolve
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
