"""The full-size model on this machine: every precision against the plain way and the peak.

All that is compared is measured in turns, again and again, and compared within a round: whatever
else runs on the machine then slows both sides. Figures are medians over the rounds.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import get_args

from emi_model.architecture.config import Precision
from emi_model.audio.waveform import Int16Waveform
from emi_model.lanes import usual_lanes
from emi_model.predict import Predictor
from emi_model.speed.flops import FlopCounter
from emi_model.speed.machine import matrix_peak, this_machine
from emi_model.speed.measure import HIDDEN, LAYERS, checked_device, random_model
from emi_model.speed.noise_clips import noise_waveforms, typical_seconds
from emi_model.speed.throughput import CLIPS_PER_CALL, FEWEST_PER_CALL, Throughput, plain_way
from emi_model.units import SAMPLING_RATE

Row = tuple[str, str]

ROUNDS = 5
TURN_SECONDS = 2.0
"""A precision's turn lasts so long at least, one block of clips at least."""

PEAK_SECONDS = 0.3


def speed(folder: Path, model: Path) -> Iterator[Row]:
    """Model alone in each precision; speed does not care about weights, so they are random."""
    device, full = checked_device(None), random_model()
    full.to(device)
    machine = this_machine(device)
    yield (
        "model",
        f"{LAYERS} layers, {HIDDEN} wide, random weights, on {machine.gpu or machine.processor}",
    )
    asked = {name: Predictor(full, precision=name, device=str(device)) for name in _precisions()}
    auto = asked.pop("auto").numerics
    yield "precision auto", f"is {auto} here"
    num_clips = CLIPS_PER_CALL if device.type == "cuda" else FEWEST_PER_CALL
    clips = noise_waveforms(typical_seconds(num_clips))
    for predictor in asked.values():
        predictor.lanes = usual_lanes(device)
        predictor(clips[: num_clips // 2])
    plains: list[float] = []
    rates, times, shares, peaks = (defaultdict[str, list[float]](list) for _ in range(4))
    for _ in range(ROUNDS):
        plains.append(plain_way(full, device, 1e-9).audio_hours_per_hour)
        for name, predictor in asked.items():
            found = turn(predictor, clips)
            peaks[name].append(found.peak)
            rates[name].append(found.throughput.audio_hours_per_hour)
            times[name].append(rates[name][-1] / plains[-1])
            shares[name].append(found.share)
    yield "plain way: one clip a call, fp32", said(plains, "audio-hours per hour")
    for name in asked:
        best = f"{max(peaks[name]) / 1e9:.0f} GFLOP/s at best"
        yield f"matrix peak, {name}", f"{median(peaks[name]) / 1e9:.0f} GFLOP/s, {best}"
        yield f"model alone, {name}", said(rates[name], "audio-hours per hour")
        yield f"{name} over the plain way", said(times[name], "times as fast")
        yield f"{name}: share of its matrix peak", said(shares[name])
    if {"int8", "bf16"} <= asked.keys():
        both = zip(rates["int8"], rates["bf16"], strict=True)
        yield "int8 over bf16", said([one / other for one, other in both], "times as fast")


@dataclass(frozen=True)
class Turn:
    """What a precision did in its turn, and the peak of its products, operations a second.

    The peak was measured before and behind the turn; the larger one counts.
    """

    throughput: Throughput
    peak: float

    @property
    def share(self) -> float:
        """Operations of backbone and heads, without padding, over those of the peak."""
        return self.throughput.flops_per_second / self.peak


def turn(predictor: Predictor, clips: Sequence[Int16Waveform]) -> Turn:
    """Score clips for a while, between two measurements of the peak."""
    before = matrix_peak(predictor.device, predictor.numerics, PEAK_SECONDS)
    found = _scored(predictor, clips)
    after = matrix_peak(predictor.device, predictor.numerics, PEAK_SECONDS)
    return Turn(found, max(before.flops_per_second, after.flops_per_second))


def _scored(predictor: Predictor, clips: Sequence[Int16Waveform]) -> Throughput:
    counter = FlopCounter(predictor.model.config)
    spent, calls = 0.0, 0
    while spent < TURN_SECONDS:
        started = time.perf_counter()
        predictor(clips)
        spent += time.perf_counter() - started
        calls += 1
    return Throughput(
        num_clips=calls * len(clips),
        audio_seconds=calls * sum(map(len, clips)) / SAMPLING_RATE,
        seconds=spent,
        flops=calls * sum(counter(len(clip)).total for clip in clips),
    )


def _precisions() -> tuple[Precision, ...]:
    return get_args(Precision)


def said(values: Sequence[float], unit: str = "") -> str:
    """Return the median of values, and their range."""
    low, high = min(values), max(values)
    return f"{median(values):.2f} {unit} ({low:.2f} to {high:.2f})".replace("  ", " ")
