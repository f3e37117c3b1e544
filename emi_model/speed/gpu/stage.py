"""What the checks share: a device, a model with random weights, clips, and how large they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from emi_model.architecture.config import Precision
from emi_model.architecture.model import EmiModel
from emi_model.audio.waveform import Int16Waveform
from emi_model.errors import EmiError
from emi_model.predict import Predictor, Scores
from emi_model.speed.measure import random_model
from emi_model.units import INT16_FULL_SCALE, SAMPLING_RATE, seconds_to_samples

SHORTEST = 400
"""Samples of one frame of wav2vec2's convolutions."""

FAMILY = 4
NUM_HARMONICS = 8


@dataclass(frozen=True)
class Sizes:
    """How large everything is.

    Attributes:
        layers: of the model's encoder.
        hidden: its width.
        num_clips: clips of all lengths, from one frame on.
        longest_seconds: of these.
        seconds: for each measurement of speed, about.
        sweep: clips a call to measure the speed with.
        train_clips: clips of a training step.
        equal_seconds: of the clips whose losses are compared with the CPU's.
        passes: of a second process over the clips.
    """

    layers: int
    hidden: int
    num_clips: int
    longest_seconds: float
    seconds: float
    sweep: tuple[int, ...]
    train_clips: int
    equal_seconds: tuple[float, ...]
    passes: int


FULL_SIZES = Sizes(
    layers=12,
    hidden=1024,
    num_clips=64,
    longest_seconds=30.0,
    seconds=3.0,
    sweep=(16, 64, 128, 256, 512),
    train_clips=32,
    equal_seconds=(0.5, 0.4, 0.7, 0.6),
    passes=20,
)
SMALL = Sizes(
    layers=2,
    hidden=64,
    num_clips=12,
    longest_seconds=3.0,
    seconds=0.1,
    sweep=(16,),
    train_clips=2,
    equal_seconds=(0.3, 0.5),
    passes=1,
)


@dataclass(frozen=True)
class Stage:
    """Where the checks run.

    Attributes:
        device: that is checked.
        sizes: of what it is checked with.
    """

    device: torch.device
    sizes: Sizes

    @property
    def on_gpu(self) -> bool:
        """Whether there is a card to be checked."""
        return self.device.type == "cuda"

    def model(self) -> EmiModel:
        """Return a new model; its weights are the same every time."""
        return random_model(self.sizes.layers, self.sizes.hidden)

    def predictor(self, precision: Precision, device: str | None = None) -> Predictor:
        """Return a predictor of a new model, by default on the device that is checked."""
        return Predictor(self.model(), precision=precision, device=device or str(self.device))

    @cached_property
    def clips(self) -> list[Int16Waveform]:
        """Clips of all lengths, as int16 waveforms, in no order."""
        return clips_of_all_lengths(self.sizes.num_clips, self.sizes.longest_seconds)

    @cached_property
    def exact(self) -> list[Scores]:
        """What the device gives these clips in float32."""
        return scores_of(self.predictor("fp32"), self.clips)


def scores_of(predictor: Predictor, clips: Sequence[Int16Waveform]) -> list[Scores]:
    """Return the scores of clips, all of which have to fit into memory."""
    scores = []
    for found in predictor(clips):
        if isinstance(found, EmiError):
            raise found
        scores.append(found)
    return scores


def clips_of_all_lengths(num_clips: int, longest_seconds: float) -> list[Int16Waveform]:
    """Return clips of one frame to ``longest_seconds``, that sound as different as can be.

    They come in families of like lengths: others would not share a batch.
    """
    draw = np.random.default_rng(0)
    longest = np.geomspace(SHORTEST, seconds_to_samples(longest_seconds), num_clips // FAMILY)
    drawn = np.repeat(longest, FAMILY) * draw.uniform(0.92, 1.0, num_clips)
    lengths = drawn.astype(int).clip(min=SHORTEST)
    return [_sound(int(length), draw) for length in draw.permutation(lengths)]


def _sound(length: int, draw: np.random.Generator) -> Int16Waveform:
    """Return a hum of one pitch in syllables of one rate, in noise; all of it drawn."""
    times = np.arange(length) / SAMPLING_RATE
    strengths = draw.exponential(size=NUM_HARMONICS) / np.arange(1, NUM_HARMONICS + 1)
    pitch, rate = draw.uniform(80.0, 400.0), draw.uniform(1.0, 8.0)
    hum = sum(
        strength * np.sin(2 * np.pi * pitch * (number + 1) * times)
        for number, strength in enumerate(strengths)
    )
    heard = hum * np.sin(np.pi * rate * times) ** 2
    heard = heard + draw.uniform(0.01, 0.5) * draw.standard_normal(length)
    level = draw.uniform(0.05, 0.5) * INT16_FULL_SCALE / np.abs(heard).max()
    return np.asarray(level * heard, np.int16)
