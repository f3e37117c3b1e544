"""How much audio a model scores a second: batched as in the real job, and the plain way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from emi_model.architecture.branch import Padded
from emi_model.architecture.model import EmiModel
from emi_model.audio.waveform import Int16Waveform, normalise, to_float
from emi_model.modalities import AUDIO
from emi_model.predict import Predictor
from emi_model.speed.flops import FlopCounter
from emi_model.speed.noise_clips import draw_seconds, noise_waveforms, typical_seconds
from emi_model.units import samples_to_seconds

CLIPS_PER_CALL = 64
"""Clips that the predictor gets at once, as from the pipeline."""

FEWEST_PER_CALL = 16
"""The fewest, on a slow machine: fewer would not fill a batch."""

WARM_UP_CLIPS = 8
PLAIN_CLIPS = 8

OnProgress = Callable[[float, float], None]
"""Called with the seconds measured so far and their total."""


@dataclass(frozen=True)
class Throughput:
    """Clips scored, and the time that it took.

    Attributes:
        num_clips: clips.
        audio_seconds: their total duration, s.
        seconds: time to score them, s.
        flops: their floating-point operations, without padding.
    """

    num_clips: int
    audio_seconds: float
    seconds: float
    flops: int

    @property
    def audio_hours_per_hour(self) -> float:
        """Hours of audio scored in an hour: how many times faster than real time."""
        return self.audio_seconds / self.seconds

    @property
    def milliseconds_per_clip(self) -> float:
        """Mean time to score a clip, ms."""
        return 1e3 * self.seconds / self.num_clips

    @property
    def flops_per_second(self) -> float:
        """Operations a second."""
        return self.flops / self.seconds


@dataclass(frozen=True)
class ModelAlone(Throughput):
    """The throughput from waveforms to scores, in one process.

    Attributes:
        numerics: type of the products of matrices.
        clips_per_call: clips that the predictor got at once.
        padding_share: share of padding in all samples that the model computed on, [0, 1).
        gpu_peak_bytes: most memory that PyTorch allocated on the GPU; None on a CPU.
    """

    numerics: str
    clips_per_call: int
    padding_share: float
    gpu_peak_bytes: int | None


def model_alone(
    predictor: Predictor,
    seconds: float,
    *,
    clips_per_call: int = CLIPS_PER_CALL,
    on_progress: OnProgress | None = None,
) -> ModelAlone:
    """Score clips of the challenge's durations for a while, no two blocks of them alike.

    The first call is not counted. If it shows that a block of ``clips_per_call`` would take longer
    than ``seconds``, blocks are smaller, but of 16 clips or more. Drawing is not counted.

    Args:
        predictor: the model, its precision and device.
        seconds: for about this long; one block at least.
        clips_per_call: clips of a block.
        on_progress: called after every block.

    Raises:
        OutOfMemory: a clip does not fit into memory.
    """
    on_gpu = predictor.device.type == "cuda"
    warm_up = clips_per_call if on_gpu else min(WARM_UP_CLIPS, clips_per_call)
    took = _timed(predictor, noise_waveforms(typical_seconds(warm_up)))
    if not on_gpu:
        affordable = int(seconds / took * warm_up)
        clips_per_call = min(clips_per_call, max(FEWEST_PER_CALL, affordable))
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(predictor.device)
    flops_of, before = FlopCounter(predictor.model.config), predictor.padding
    spent, flops, num_blocks, num_samples = 0.0, 0, 0, 0
    while spent < seconds:
        block = noise_waveforms(draw_seconds(clips_per_call, (1, num_blocks)), seed=num_blocks)
        spent += _timed(predictor, block)
        num_blocks += 1
        num_samples += sum(map(len, block))
        flops += sum(flops_of(len(waveform)).total for waveform in block)
        if on_progress is not None:
            on_progress(min(spent, seconds), seconds)
    own, padded = (now - then for now, then in zip(predictor.padding, before, strict=True))
    return ModelAlone(
        num_clips=num_blocks * clips_per_call,
        audio_seconds=samples_to_seconds(num_samples),
        seconds=spent,
        flops=flops,
        numerics=predictor.numerics,
        clips_per_call=clips_per_call,
        padding_share=1 - own / padded if padded else 0.0,
        gpu_peak_bytes=torch.cuda.max_memory_allocated(predictor.device) if on_gpu else None,
    )


@torch.inference_mode()
def plain_way(
    model: EmiModel,
    device: torch.device,
    seconds: float,
    *,
    on_progress: OnProgress | None = None,
) -> Throughput:
    """Score one clip a call in float32 with the model as it is: the first code that people write.

    Eight clips whose durations represent those of all are scored again and again; the first call
    is not counted.

    Args:
        model: in evaluation mode, on ``device``.
        device: that runs the model.
        seconds: for about this long; all eight clips at least.
        on_progress: called after every clip.
    """
    clips = noise_waveforms(typical_seconds(PLAIN_CLIPS))
    flops_of = FlopCounter(model.config)
    score_plainly(model, device, clips[0])
    spent, flops, num_clips, num_samples = 0.0, 0, 0, 0
    while spent < seconds or num_clips % len(clips):
        clip = clips[num_clips % len(clips)]
        started = time.perf_counter()
        score_plainly(model, device, clip)
        spent += time.perf_counter() - started
        num_clips += 1
        num_samples += len(clip)
        flops += flops_of(len(clip)).total
        if on_progress is not None:
            on_progress(min(spent, seconds), seconds)
    return Throughput(num_clips, samples_to_seconds(num_samples), spent, flops)


def score_plainly(model: EmiModel, device: torch.device, clip: Int16Waveform) -> None:
    """Score one clip, int16 (samples,), in float32 with the model as it is, on ``device``."""
    waveform = torch.from_numpy(normalise(to_float(clip)))[None].to(device)
    output = model({AUDIO: Padded(waveform, torch.tensor([len(clip)], device=device))})
    for values in (output.emi, output.vad_mean):
        if values is not None:
            values.cpu()  # waits for the device


def _timed(predictor: Predictor, block: Sequence[Int16Waveform]) -> float:
    started = time.perf_counter()
    scored = predictor(block)
    took = time.perf_counter() - started
    for scores in scored:
        if isinstance(scores, Exception):
            raise scores
    return took
