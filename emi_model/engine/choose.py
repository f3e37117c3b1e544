"""The entry to the engine: chooses the numerics of a model and whether the engine runs it."""

from __future__ import annotations

import torch

from emi_model.architecture.audio_branch import AudioBranch
from emi_model.architecture.config import Numerics, Precision
from emi_model.architecture.fusions.paper import PaperFusion
from emi_model.architecture.model import EmiModel
from emi_model.engine.backbone import fits
from emi_model.engine.branches import BranchedModel
from emi_model.engine.model import RaggedModel
from emi_model.engine.precision import numerics, product_dtype
from emi_model.modalities import AUDIO


def choose_engine(
    model: EmiModel, precision: Precision
) -> tuple[Numerics, RaggedModel | BranchedModel | None]:
    """Return the numerics that a precision means, and the engine; None: the model itself runs.

    The engine runs the wav2vec2 branch of models whose norms are not over time: all of a model that
    only hears, with the paper's fusion, else that branch alone. In fp32 the model itself runs on a
    GPU, and where its branch keeps what it has encoded; int8 needs a model that the engine runs as
    a whole.

    Args:
        model: on its device, in evaluation mode.
        precision: as requested.

    Raises:
        ConfigError: the precision is int8, and the device is not a CPU.
    """
    device = next(model.parameters()).device
    chosen = numerics(precision, device, model.hidden_size)
    branches = model.each_branch()
    heard = branches.get(AUDIO)
    keeps = isinstance(heard, AudioBranch) and heard.keeps_outputs
    if chosen == "fp32" and (device.type != "cpu" or keeps):
        return chosen, None
    dtype = product_dtype(chosen)
    can = isinstance(heard, AudioBranch) and heard.longest_clip is None and fits(heard.backbone)
    usual = model.fusion is None or isinstance(model.fusion, PaperFusion)
    if can and usual and len(branches) == 1:
        return chosen, RaggedModel(model, dtype, int8=chosen == "int8")
    beside: Numerics = "fp32" if dtype == torch.float32 else "bf16"
    if can and not any(branch.needs_equal_lengths for branch in branches.values()):
        return beside, BranchedModel(model, dtype)
    return beside, None
