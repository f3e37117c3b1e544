"""What the checks share: a device, a model with random weights, clips, and how large they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from emi_model.architecture.branch import ClipInputs
from emi_model.architecture.config import Precision
from emi_model.architecture.model import EmiModel
from emi_model.arrays import Doubles
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
        encoder_layers: of the encoders of words and faces.
        encoder_hidden: their width, a multiple of 64.
        picture_side: pixels of a face as its encoder sees it, a multiple of 16.
        subset_copies: clips with each subset of the modalities.
        subset_seconds: of the longest of these.
        num_whole_clips: clips with all modalities, whose scores in bfloat16 are correlated.
        rate_clips: clips a call of a model that reads or sees.
        step_clips: clips of its training step.
        num_families: families of audio backbones, the first so many.
        family_clips: clips that each family of audio backbones scores, a multiple of 4.
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
    encoder_layers: int
    encoder_hidden: int
    picture_side: int
    subset_copies: int
    subset_seconds: float
    num_whole_clips: int
    rate_clips: int
    step_clips: int
    num_families: int
    family_clips: int


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
    encoder_layers=12,
    encoder_hidden=768,
    picture_side=224,
    subset_copies=4,
    subset_seconds=6.0,
    num_whole_clips=32,
    rate_clips=64,
    step_clips=16,
    num_families=7,
    family_clips=32,
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
    encoder_layers=2,
    encoder_hidden=64,
    picture_side=32,
    subset_copies=1,
    subset_seconds=1.0,
    num_whole_clips=8,
    rate_clips=2,
    step_clips=2,
    num_families=2,
    family_clips=8,
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


def scores_of(
    predictor: Predictor, clips: Sequence[Int16Waveform] | Sequence[ClipInputs]
) -> list[Scores]:
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


def sounds(seconds: Doubles, seed: int) -> list[Int16Waveform]:
    """Return one clip a duration, that sound as different as can be."""
    draw = np.random.default_rng(seed)
    return [_sound(seconds_to_samples(float(each)), draw) for each in seconds]


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
