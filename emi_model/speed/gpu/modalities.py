"""Models that read and see: exact on any subset of modalities, drift, speed, a training step."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

import numpy as np
import torch

from emi_model.architecture.branch import ClipInputs, collate
from emi_model.architecture.model import EmiModel
from emi_model.modalities import AUDIO, TRANSCRIPT, VISION
from emi_model.predict import Predictor, Scores
from emi_model.speed.gpu.rows import CheckRow, at_least, at_most, figure, holds
from emi_model.speed.gpu.scores import (
    MAX_DRIFT,
    MIN_PEARSON,
    columns,
    exact_scores,
    least_pearson,
)
from emi_model.speed.gpu.several import (
    ALL,
    FUSIONS_CHECKED,
    clips_of_all_subsets,
    clips_with,
    several_model,
)
from emi_model.speed.gpu.stage import Stage, scores_of, sounds
from emi_model.speed.gpu.training import CONFIG, NUM_TIMED_STEPS, NUM_WARM_UP_STEPS
from emi_model.speed.noise_clips import draw_seconds, noise_waveforms, typical_seconds
from emi_model.training.objective.losses import mse_loss
from emi_model.training.optimiser import Optimiser

NAMES: Mapping[tuple[str, ...], str] = {
    (AUDIO,): "audio",
    (AUDIO, TRANSCRIPT): "audio and text",
    ALL: "audio, text and vision",
    (TRANSCRIPT,): "text alone",
    (VISION,): "vision alone",
}
"""Models whose speed is measured."""

SPEED_FUSION = "concat"


def any_subset(stage: Stage) -> Iterator[CheckRow]:
    """Compare scores in float32 with the CPU's, and a clip's alone with those in a batch."""
    clips = clips_of_all_subsets(stage)
    for fusion in FUSIONS_CHECKED:
        model = several_model(stage, fusion)
        name = f"{fusion}, {len(clips)} clips with any subset of audio, text, vision"
        card = f"{name}: fp32 on the card against the CPU, largest difference"
        alone = f"{name}: alone against in a batch, largest difference"
        found = yield from exact_scores(stage, model, clips, from_cpu=card, from_alone=alone)
        yield from _drift(stage, fusion, model, found, clips)


def _drift(
    stage: Stage,
    fusion: str,
    model: EmiModel,
    exact: Sequence[Scores],
    clips: Sequence[ClipInputs],
) -> Iterator[CheckRow]:
    """Compare bfloat16 with float32; the correlation is over clips that have everything."""
    lower = Predictor(model, precision="bf16", device=str(stage.device))
    apart = max(
        float(np.abs(columns([one]) - columns([other])).max())
        for one, other in zip(scores_of(lower, clips), exact, strict=True)
    )
    yield at_most(f"{fusion}: bf16 against fp32, largest drift of a score", apart, MAX_DRIFT)
    seconds = stage.sizes.subset_seconds * np.linspace(0.3, 1, stage.sizes.num_whole_clips)
    whole = clips_with(ALL, sounds(seconds, 2), 2)
    wanted = scores_of(Predictor(model, precision="fp32", device=str(stage.device)), whole)
    pearson = least_pearson(columns(scores_of(lower, whole)), columns(wanted))
    check = f"{fusion}: bf16 against fp32, Pearson over {len(whole)} clips with everything"
    yield at_least(check, pearson, MIN_PEARSON)


def rates_by_modality(stage: Stage) -> Iterator[CheckRow]:
    """Measure audio-hours an hour of a model that hears, then reads, then sees."""
    for modalities, name in NAMES.items():
        model = several_model(stage, SPEED_FUSION, modalities)
        predictor = Predictor(model, precision="bf16", device=str(stage.device))
        check = f"model alone, {predictor.numerics}, {stage.sizes.rate_clips} clips a call, {name}"
        yield figure(check, _rate(stage, predictor, modalities))


def _rate(stage: Stage, predictor: Predictor, modalities: Sequence[str]) -> str:
    """Score blocks of clips for a while, no two alike; tell how fast, and what preparing takes."""
    num_clips = stage.sizes.rate_clips

    def block(number: int) -> tuple[list[ClipInputs], float]:
        seconds = draw_seconds(num_clips, (2, number))
        waveforms = noise_waveforms(seconds, number)
        return clips_with(modalities, waveforms, number), float(seconds.sum())

    scores_of(predictor, block(0)[0])
    if stage.on_gpu:
        torch.cuda.reset_peak_memory_stats(stage.device)
    spent, heard, number = 0.0, 0.0, 0
    while spent < stage.sizes.seconds:
        number += 1
        clips, seconds = block(number)
        started = time.perf_counter()
        scores_of(predictor, clips)
        spent += time.perf_counter() - started
        heard += seconds
    started = time.perf_counter()
    for clip in clips:
        for modality, values in clip.items():
            predictor.specs[modality].prepare(values)
    prepared = 1e3 * (time.perf_counter() - started) / num_clips
    took = 1e3 * spent / (number * num_clips)
    said = [f"{heard / spent:,.1f} audio-hours per hour", f"{took:.3f} ms a clip"]
    said.append(f"preparing on the host {prepared:.3f} ms a clip")
    if stage.on_gpu:
        said.append(f"{torch.cuda.max_memory_allocated(stage.device) / 2**30:.1f} GiB")
    return ", ".join(said)


def steps_of_several(stage: Stage) -> Iterator[CheckRow]:
    """Take training steps in bfloat16: with both encoders frozen, and with all of it trained."""
    for trained in (False, True):
        model = several_model(stage, SPEED_FUSION, trained=trained).to(stage.device).train()
        clips = clips_with(ALL, noise_waveforms(typical_seconds(stage.sizes.step_clips)))
        if stage.on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(stage.device)
        num_steps = NUM_WARM_UP_STEPS + NUM_TIMED_STEPS if stage.on_gpu else 1
        losses, took = _take_steps(model, clips, num_steps)
        usual = median(took[-NUM_TIMED_STEPS:])
        said = [f"{usual:.3f} s a step of {len(clips)} clips", f"{len(clips) / usual:.1f} clips/s"]
        if stage.on_gpu:
            said.append(f"{torch.cuda.max_memory_allocated(stage.device) / 2**30:.1f} GiB")
        whose = "all of it trained" if trained else "text and vision encoders frozen"
        finite = all(map(math.isfinite, losses))
        check = f"training step, audio, text and vision, bf16 autocast, {whose}"
        yield holds(check, ", ".join(said), "finite losses", finite)


def _take_steps(
    model: EmiModel, clips: Sequence[ClipInputs], num_steps: int
) -> tuple[list[float], list[float]]:
    """Train on the same clips again and again; returns the loss and the seconds of each step."""
    device = next(model.parameters()).device
    optimiser = Optimiser(model, CONFIG, num_steps)
    specs = model.specs
    prepared = [{name: specs[name].prepare(clip[name]) for name in clip} for clip in clips]
    batch = {name: one.to(device) for name, one in collate(prepared, [*specs]).items()}
    draw = np.random.default_rng(0)
    labels = torch.from_numpy(draw.uniform(size=(len(clips), 6)).astype(np.float32)).to(device)
    losses, seconds = [], []
    for _ in range(num_steps):
        started = time.perf_counter()
        output = model(batch, backbone_dtype=torch.bfloat16)
        assert output.emi is not None, "the model has targets"
        loss = mse_loss(output.emi, labels)
        optimiser.step(loss)
        losses.append(loss.item())
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return losses, seconds
