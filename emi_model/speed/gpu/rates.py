"""Speed: the model alone, over how many clips a call, against what the card multiplies at best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from emi_model.predict import Predictor
from emi_model.speed.gpu.rows import CheckRow, figure, not_here, to_reach
from emi_model.speed.gpu.stage import Stage
from emi_model.speed.machine import matrix_peak
from emi_model.speed.report import throughput_text
from emi_model.speed.throughput import ModelAlone, model_alone, plain_way

TARGET_HOURS = 10_000
"""Audio-hours an hour of one H100."""

TARGET_SHARE = 0.4
"""Of the fastest product of matrices."""


def measured_rates(stage: Stage) -> Iterator[CheckRow]:
    """Measure the plain way, float32, and bfloat16 over the sweep; the best is held to targets."""
    seconds = stage.sizes.seconds
    model = stage.model().to(stage.device)
    plain = plain_way(model, stage.device, seconds / 2)
    yield figure("plain way: one clip a call, fp32", throughput_text(plain))
    peaks = {}
    for numerics in ("fp32", "bf16"):
        peaks[numerics] = matrix_peak(stage.device, numerics, seconds / 2).flops_per_second
        said = f"{peaks[numerics] / 1e12:.3g} TFLOP/s"
        yield figure(f"fastest product of matrices, {numerics}", said)
    exact = model_alone(Predictor(model, precision="fp32", device=str(stage.device)), seconds)
    yield figure(_name(exact), _said(exact, peaks["fp32"]))
    swept = []
    lower = Predictor(model, precision="bf16", device=str(stage.device))
    for clips_per_call in stage.sizes.sweep:
        found = model_alone(lower, seconds, clips_per_call=clips_per_call)
        yield figure(_name(found), _said(found, peaks["bf16"]))
        swept.append(found)
    yield from _against_targets(stage, swept, peaks["bf16"])
    yield figure("CUDA graphs", "the LSTM's steps alone; the rest fills a card without")


def _against_targets(stage: Stage, swept: Sequence[ModelAlone], peak: float) -> Iterator[CheckRow]:
    """Hold the fastest against what an H100 is to reach; another device has no targets."""
    best = max(swept, key=lambda found: found.audio_hours_per_hour)
    hours, share = best.audio_hours_per_hour, best.flops_per_second / peak
    name = f"model alone, bf16, the fastest ({best.clips_per_call} clips a call)"
    if not stage.on_gpu:
        yield not_here(name, f"to reach: {TARGET_HOURS:,}")
        yield not_here(f"{name}: share of the peak", f"to reach: {TARGET_SHARE}")
        return
    yield to_reach(name, throughput_text(best), f"{TARGET_HOURS:,}", hours >= TARGET_HOURS)
    yield to_reach(
        f"{name}: share of the peak", f"{share:.2f}", f"{TARGET_SHARE}", share >= TARGET_SHARE
    )


def _name(found: ModelAlone) -> str:
    return f"model alone, {found.numerics}, {found.clips_per_call} clips a call"


def _said(found: ModelAlone, peak: float) -> str:
    parts = [throughput_text(found), f"{found.flops_per_second / peak:.3f} of the peak"]
    if found.gpu_peak_bytes is not None:
        parts.append(f"{found.gpu_peak_bytes / 2**30:.1f} GiB")
    return ", ".join(parts)
