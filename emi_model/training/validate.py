"""A model against labelled clips: predictions, and how well they follow the labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from emi_model.architecture.branch import ClipInputs, stretch_of
from emi_model.architecture.model import EmiModel
from emi_model.arrays import Array, Floats
from emi_model.errors import OutOfMemory, TrainingError
from emi_model.metrics.agreement import TargetMetrics, evaluate
from emi_model.predict import Predictor, Scores
from emi_model.training.clips import TrainingClip
from emi_model.training.group import SingleProcess

CLIPS_AT_ONCE = 256
"""Clips whose inputs are in memory at once while predicting."""


def predict_clips(
    model: EmiModel, clips: Sequence[TrainingClip], *, device: str | None = None
) -> Floats:
    """Return EMI scores (N, targets), clipped to [0, 1], of the start of each clip.

    The model gets one window, ``clip_seconds`` of its config, and is left in evaluation mode.

    Raises:
        AudioError: a clip of less than one frame.
        OutOfMemory: a clip that does not fit, even alone.
    """
    rows = [_emi_of(scores) for scores in outputs_of(model, clips, device=device)]
    return np.stack(rows) if rows else np.zeros((0, model.config.num_targets), np.float32)


def outputs_of(
    model: EmiModel, clips: Sequence[TrainingClip], *, device: str | None = None
) -> Iterator[Scores]:
    """Yield all outputs for the start of each clip; as in `predict_clips`, where errors stand."""
    predictor = Predictor(model, precision="fp32", device=device)
    limit = model.config.window_samples
    for start in range(0, len(clips), CLIPS_AT_ONCE):
        some = [clips[index] for index in range(start, min(start + CLIPS_AT_ONCE, len(clips)))]
        starts = [first_window(clip.inputs, model, limit) for clip in some]
        for scores in predictor(starts):
            if isinstance(scores, OutOfMemory):
                raise scores
            yield scores


def evaluate_clips(
    model: EmiModel,
    clips: Sequence[TrainingClip],
    *,
    device: str | None = None,
    group: SingleProcess | None = None,
) -> dict[str, TargetMetrics]:
    """Return the metrics of each target on labelled clips; see `predict_clips`.

    Args:
        model: the same in every process.
        clips: at least one; the same in every process.
        device: as in `predict_clips`.
        group: the processes that share the work.

    Raises:
        AudioError: a clip of less than one frame.
        OutOfMemory: a clip that does not fit, even alone.
        TrainingError: outputs or labels that are not finite; the clips are named.
    """
    group = group or SingleProcess()
    own = [clips[index] for index in range(group.rank, len(clips), group.size)]
    on = next(model.parameters()).device if device is None else torch.device(device)
    predictions = torch.from_numpy(predict_clips(model, own, device=device)).to(on)
    labels = np.array([clip.emi for clip in own], np.float32).reshape(predictions.shape)
    truth = torch.from_numpy(labels).to(on)
    odd = ~(predictions.isfinite() & ~truth.isinf()).all(dim=1)  # NaN: no label
    named = [clip.clip_id for clip, is_odd in zip(own, odd.tolist(), strict=True) if is_odd]
    if named := group.gather_objects(named):
        raise TrainingError(
            f"outputs or labels are not finite, on {', '.join(named)}: check the labels of these "
            "clips, or lower the learning rate"
        )
    return evaluate(
        group.gather(predictions).cpu().numpy(),
        group.gather(truth).cpu().numpy(),
        model.config.targets,
    )


def first_window(inputs: ClipInputs, model: EmiModel, window_samples: int) -> dict[str, Array]:
    """Return the part of a clip's inputs that the model sees first, by modality."""
    return stretch_of(inputs, model.specs, model.config.required, 0, window_samples)


def _emi_of(scores: Scores) -> Floats:
    assert scores.emi is not None, "a model without targets has been refused"
    return scores.emi.clip(0.0, 1.0)
