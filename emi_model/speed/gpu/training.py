"""Training: a full-size step in float32 and bfloat16, losses against the CPU's, a whole `fit`."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
import torch

from emi_model.architecture.branch import Padded
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.audio.batching import pad
from emi_model.modalities import AUDIO
from emi_model.speed.gpu.rows import CheckRow, at_most, figure, holds, not_here
from emi_model.speed.gpu.stage import Stage
from emi_model.speed.noise_clips import noise_waveforms, typical_seconds
from emi_model.training.clips import LabelledClip
from emi_model.training.config import TrainConfig
from emi_model.training.fit import fit
from emi_model.training.objective.losses import mse_loss
from emi_model.training.optimiser import Optimiser

NUM_EQUAL_STEPS = 20
MAX_LOSS_APART = 1e-3
NUM_TIMED_STEPS, NUM_WARM_UP_STEPS = 5, 2
NUM_FIT_STEPS = 4

NOTHING_DRAWN = {
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0,
    "final_dropout": 0.0,
    "layerdrop": 0.0,
    "apply_spec_augment": False,
}
"""Settings of a backbone that draws no random numbers while it learns."""

CONFIG = TrainConfig(epochs=1, batch_size=1, learning_rate=1e-4, warmup_epochs=0, keep="last")


@dataclass(frozen=True)
class Steps:
    """What some steps took.

    Attributes:
        losses: of each.
        seconds: of each.
    """

    losses: list[float]
    seconds: list[float]


def training(stage: Stage) -> Iterator[CheckRow]:
    """Compare losses with the CPU's, time steps, and train as `emi_model.training.fit.fit` does."""
    yield from _equal_losses(stage)
    clips = labelled(typical_seconds(stage.sizes.train_clips))
    for name, dtype in (("fp32", None), ("bf16 autocast", torch.bfloat16)):
        yield from _timed(stage, name, clips, dtype)
    yield _whole(stage, clips)


def labelled(seconds: Sequence[float] | np.ndarray) -> list[LabelledClip]:
    """Return clips of some durations, with labels drawn at random."""
    draw = np.random.default_rng(0)
    return [
        LabelledClip(str(number), {AUDIO: waveform}, draw.uniform(size=6).astype(np.float32))
        for number, waveform in enumerate(noise_waveforms(seconds))
    ]


def take_steps(
    model: EmiModel, clips: Sequence[LabelledClip], num_steps: int, dtype: torch.dtype | None
) -> Steps:
    """Train a model, on its device, on the same clips again and again."""
    device = next(model.parameters()).device
    optimiser = Optimiser(model.train(), CONFIG, num_steps)
    prepare = model.specs[AUDIO].prepare
    heard = Padded(*pad([prepare(clip.inputs[AUDIO]) for clip in clips])).to(device)
    labels = torch.from_numpy(np.stack([clip.emi for clip in clips])).to(device)
    steps = Steps([], [])
    for _ in range(num_steps):
        started = time.perf_counter()
        output = model({AUDIO: heard}, backbone_dtype=dtype)
        assert output.emi is not None, "the model has targets"
        loss = mse_loss(output.emi, labels)
        optimiser.step(loss)
        steps.losses.append(loss.item())
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        steps.seconds.append(time.perf_counter() - started)
    return steps


def _equal_losses(stage: Stage) -> Iterator[CheckRow]:
    check = (
        f"loss of {NUM_EQUAL_STEPS} steps against the CPU's, fp32 without TF32, largest difference"
    )
    if not stage.on_gpu:
        yield not_here(check, f"at most {MAX_LOSS_APART:g}")
        return
    clips = labelled(stage.sizes.equal_seconds)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        found = take_steps(_calm_model(stage).to(stage.device), clips, NUM_EQUAL_STEPS, None).losses
    expected = take_steps(_calm_model(stage), clips, NUM_EQUAL_STEPS, None).losses
    apart = max(abs(one - other) for one, other in zip(found, expected, strict=True))
    yield figure("loss of the first and the last of them", f"{expected[0]:.4f}, {expected[-1]:.4f}")
    yield at_most(check, apart, MAX_LOSS_APART)


def _calm_model(stage: Stage) -> EmiModel:
    """Return the model without anything drawn while it learns."""
    model = stage.model()
    calm = EmiModel(EmiConfig({**model.config.backbone, **NOTHING_DRAWN}))
    calm.load_state_dict(model.state_dict())
    return calm


def _timed(
    stage: Stage, name: str, clips: Sequence[LabelledClip], dtype: torch.dtype | None
) -> Iterator[CheckRow]:
    model = stage.model().to(stage.device)
    if stage.on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(stage.device)
    num_steps = NUM_WARM_UP_STEPS + NUM_TIMED_STEPS if stage.on_gpu else 1
    steps = take_steps(model, clips, num_steps, dtype)
    took = median(steps.seconds[-NUM_TIMED_STEPS:])
    said = [f"{took:.3f} s a step of {len(clips)} clips", f"{len(clips) / took:.1f} clips a second"]
    if stage.on_gpu:
        said.append(f"{torch.cuda.max_memory_allocated(stage.device) / 2**30:.1f} GiB")
    is_finite = all(map(math.isfinite, steps.losses))
    yield holds(f"training step, {name}", ", ".join(said), "finite losses", is_finite)


def _whole(stage: Stage, clips: Sequence[LabelledClip]) -> CheckRow:
    """Train as a run does: waveforms prepared in processes of their own, float16 with scaling."""
    check = "`fit` with mixed precision (float16): an epoch behind the first"
    if not stage.on_gpu:
        return not_here(check, "finite losses")
    config = replace(CONFIG, epochs=2, batch_size=len(clips), mixed_precision=True)
    many = [
        replace(clip, clip_id=f"{clip.clip_id}, {copy}")
        for copy in range(NUM_FIT_STEPS)
        for clip in clips
    ]
    first, second = fit(stage.model(), many, (), config, device=str(stage.device)).history
    rate = len(many) / (second.seconds - first.seconds)
    losses = f"loss {first.train_loss:.4f}, then {second.train_loss:.4f}"
    is_finite = math.isfinite(second.train_loss)
    said = f"{losses}; {rate:.1f} clips a second"
    return holds(check, said, "finite losses", is_finite)
