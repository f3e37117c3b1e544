"""Loads the model that ``--model`` names."""

from __future__ import annotations

from contextlib import nullcontext

from emi_model.architecture.backbones.wav2vec2_weights import built_to_score
from emi_model.checkpoints.checkpoint import LoadedModel, load_checkpoint
from emi_model.checkpoints.foreign import load_vad_model
from emi_model.checkpoints.metadata import ModelMetadata
from emi_model.checkpoints.resolve import is_ours, name_of, resolve


def load_model(
    reference: str, metadata: ModelMetadata | None = None, *, to_score: bool = False
) -> LoadedModel:
    """Load the model that a reference names.

    Args:
        reference: a folder (checkpoint of this project, or the public VAD model's layout), or the
            id of such a model on the hub, ``owner/name``.
        metadata: its metadata, if they were read before; else the weights are hashed again.
        to_score: the model is for a `Predictor` and not for training: a wav2vec2 backbone is its
            weights alone, without ``transformers``, until somebody calls it.

    Raises:
        ModelNotFound: neither a folder nor available from the hub.
        CheckpointError: the folder exists, but holds no usable model.
    """
    folder = resolve(reference)
    with built_to_score() if to_score else nullcontext():
        if is_ours(folder):
            return load_checkpoint(folder, metadata)
        return load_vad_model(folder, name_of(reference, folder), metadata)
