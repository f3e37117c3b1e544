"""The entry to the engine: chooses the numerics of a model and whether the engine runs it."""

from __future__ import annotations

import torch

from emi_model.architecture.audio_branch import AudioBranch
from emi_model.architecture.config import Numerics, Precision
from emi_model.architecture.fusions.paper import PaperFusion
from emi_model.architecture.model import EmiModel
from emi_model.engine.backbone import fits
from emi_model.engine.model import RaggedModel
from emi_model.engine.precision import numerics, product_dtype


def choose_engine(model: EmiModel, precision: Precision) -> tuple[Numerics, RaggedModel | None]:
    """Return the numerics that a precision means, and the engine; None: the model itself runs.

    The engine runs models with the wav2vec2 branch alone whose norms are not over time, with the
    paper's fusion. In fp32 the model itself runs, as the reference for the engine; int8 needs the
    engine.

    Args:
        model: on its device, in evaluation mode.
        precision: as requested.

    Raises:
        ConfigError: the precision is int8, and the device is not a CPU.
    """
    chosen = numerics(precision, next(model.parameters()).device, model.hidden_size)
    if chosen == "fp32":
        return chosen, None
    (first, *others) = model.each_branch().values()
    usual = model.fusion is None or isinstance(model.fusion, PaperFusion)
    heard = isinstance(first, AudioBranch) and first.longest_clip is None
    if usual and heard and not others and fits(model.audio.backbone):
        return chosen, RaggedModel(model, product_dtype(chosen), int8=chosen == "int8")
    return ("bf16" if product_dtype(chosen) == torch.bfloat16 else "fp32"), None
