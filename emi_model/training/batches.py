"""Which clips a training step takes: order and batches of one epoch, drawn from its number alone.

No random state is carried from epoch to epoch, so a training that is resumed makes the same draws
as one that was never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from emi_model.architecture.branch import ClipInputs, InputSpec, duration_of, stretch_of
from emi_model.arrays import Floats
from emi_model.audio.augment import augment, random_crop
from emi_model.audio.waveform import as_float
from emi_model.errors import EmiError, TrainingError
from emi_model.modalities import AUDIO
from emi_model.training.clips import PreparedClip, TrainingClip
from emi_model.training.config import TrainConfig
from emi_model.training.objective.raters import num_raters_of
from emi_model.units import seconds_to_samples

ORDER, CLIP, TORCH, MODALITY = range(4)
"""Purposes of random numbers; each purpose has a generator of its own."""


def num_steps(num_clips: int, config: TrainConfig) -> int:
    """Return the steps of one epoch."""
    return math.ceil(num_clips / config.batch_size)


def plan_epoch(num_samples: Sequence[int], config: TrainConfig, epoch: int) -> list[list[int]]:
    """Return the batches of an epoch, in order, as indices into the training clips.

    Clips are shuffled, sorted by duration within pools of ``bucket_batches`` batches, cut into
    batches of almost equal size (no batch holds a rest of one or two), and the batches shuffled.

    Args:
        num_samples: samples of each clip.
        config: the recipe.
        epoch: counted from 1.
    """
    rng = rng_of(config, ORDER, epoch)
    order = rng.permutation(len(num_samples))
    steps = num_steps(len(num_samples), config)
    batches = np.array_split(order, steps)
    if config.bucket_batches == 1:
        return [[int(index) for index in batch] for batch in batches]
    lengths = _cropped_lengths(num_samples, config)
    # a pool is of whole batches: one across two pools would mix the longest and the shortest clips
    shares = np.array_split(np.arange(steps), math.ceil(steps / config.bucket_batches))
    pools = [np.concatenate([batches[place] for place in share]) for share in shares]
    by_duration = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    batches = np.array_split(by_duration, steps)
    return [[int(index) for index in batches[place]] for place in rng.permutation(steps)]


def rng_of(config: TrainConfig, *purpose: int) -> np.random.Generator:
    """Return the generator of one purpose under the recipe's seed."""
    return np.random.default_rng([config.seed, *purpose])


def seed_torch(config: TrainConfig, epoch: int, rank: int) -> None:
    """Seed what draws from global generators in an epoch: dropout, layer drop, SpecAugment."""
    words = np.random.SeedSequence([config.seed, TORCH, epoch, rank]).generate_state(2)
    torch.manual_seed(int(words[0]))
    np.random.seed(int(words[1]))  # transformers draws SpecAugment's masks from it


class Preparation(Dataset[PreparedClip | EmiError]):
    """The training clips of one epoch: cropped, their waveforms changed, all inputs prepared.

    The changes to a clip depend on the seed, the epoch and the clip, not on the process that makes
    them.
    """

    def __init__(
        self,
        clips: Sequence[TrainingClip],
        config: TrainConfig,
        epoch: int,
        *,
        window_samples: int,
        specs: Mapping[str, InputSpec],
        required: Collection[str] = (AUDIO,),
    ) -> None:
        """Take the clips, the model's window in samples, and how its branches want their inputs.

        Args:
            clips: what to prepare.
            config: the recipe.
            epoch: counted from 1.
            window_samples: the model's window.
            specs: how its branches want their inputs, by modality.
            required: modalities that every clip must have.
        """
        self._clips = clips
        self._config = config
        self._epoch = epoch
        self._window_samples = window_samples
        self._specs = specs
        self._required = required

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self._clips)

    def __getitem__(self, index: int) -> PreparedClip | EmiError:
        """Return a prepared clip, or the error that prevents it.

        If a worker process raised it, `DataLoader` would make a traceback of many lines of it.
        """
        try:
            return self._prepare(index)
        except EmiError as error:
            return error

    def batches(
        self, plan: list[list[int]], *, num_workers: int = 0
    ) -> Iterator[list[PreparedClip]]:
        """Yield the planned batches; worker processes, if any, prepare them in advance.

        Raises:
            TrainingError: less than one frame is left of a clip.
            EmiError: whatever reading a clip raises.
        """
        loader = DataLoader(
            self,
            batch_sampler=plan,
            collate_fn=list,
            num_workers=num_workers,
            generator=torch.Generator(),  # the default is the one that dropout draws from
        )
        for found in loader:
            batch: list[PreparedClip] = []
            for item in found:
                if isinstance(item, EmiError):
                    raise item
                batch.append(item)
            yield batch

    def _prepare(self, index: int) -> PreparedClip:
        rng = rng_of(self._config, CLIP, self._epoch, index)
        clip = self._clips[index]
        inputs = self._some_of(self._changed(clip, rng), index)
        alone = _prepared(clip, inputs)
        if not self._config.mixup:
            return alone
        clip = self._clips[int(rng.integers(len(self._clips)))]
        other = _prepared(clip, self._changed(clip, rng))
        share = float(rng.beta(self._config.mixup, self._config.mixup))
        return mix(alone, other, max(share, 1.0 - share))

    def _changed(self, clip: TrainingClip, rng: np.random.Generator) -> ClipInputs:
        """Return a clip's prepared inputs, all of one stretch of the clip."""
        inputs = {name: values for name, values in clip.inputs.items() if name in self._specs}
        duration = duration_of(inputs, self._specs)
        start, end = 0, self._window_samples if duration is None else duration
        if self._config.crop_seconds is not None:
            start, end = random_crop(end, self._config.crop_seconds, rng)
        end = min(end, start + self._window_samples)
        changed = {}
        parts = stretch_of(inputs, self._specs, self._required, start, end)
        for modality, values in parts.items():
            spec = self._specs[modality]
            if modality == AUDIO:
                values = augment(as_float(values), self._config.augmentation, rng)
            if spec.holds(values):
                changed[modality] = spec.prepare(values)
            elif modality in self._required and len(values) < spec.min_length:
                raise TrainingError(
                    _too_short(clip.clip_id, modality, len(values), spec.min_length)
                )
        for modality in self._required:
            if modality not in changed:
                raise TrainingError(f"{clip.clip_id} lacks {modality}: leave it out")
        if not changed:
            raise TrainingError(f"{clip.clip_id} lacks all that the model takes: leave it out")
        return changed

    def _some_of(self, inputs: ClipInputs, index: int) -> ClipInputs:
        """Return a clip's inputs without the optional ones that modality dropout leaves out."""
        share = self._config.modality_dropout
        optional = [name for name in inputs if name not in self._required]
        if not share or not optional:
            return inputs
        rng = rng_of(self._config, MODALITY, self._epoch, index)
        while True:  # drawn again if nothing is left
            dropped = {name for name in optional if rng.random() < share}
            if len(dropped) < len(inputs):
                return {name: values for name, values in inputs.items() if name not in dropped}


def _prepared(clip: TrainingClip, inputs: ClipInputs) -> PreparedClip:
    return PreparedClip(clip.clip_id, inputs, clip.emi, clip.vad, clip.num_raters)


def _too_short(clip_id: str, modality: str, length: int, expected: int) -> str:
    found = f"{length} samples" if modality == AUDIO else f"{length} entries of {modality}"
    frame = " (one frame)" if modality == AUDIO else ""
    return f"{clip_id} gives {found}, expected {expected}{frame} or more: leave it out"


def mix(clip: PreparedClip, other: PreparedClip, share: float) -> PreparedClip:
    """Return ``share`` of a clip's waveform and the rest of another's, as long as the longer.

    Labels and numbers of raters are mixed alike: mixed labels are no shares k/N any more, so no
    number can be inferred of them.
    """
    one, two = clip.inputs[AUDIO], other.inputs[AUDIO]
    waveform = np.zeros(max(len(one), len(two)), np.float32)
    waveform[: len(one)] = np.float32(share) * one
    waveform[: len(two)] += np.float32(1.0 - share) * two
    vad = None
    if clip.vad is not None and other.vad is not None:
        vad = _mixed(clip.vad, other.vad, share)  # NaN where either label is missing
    raters = share * num_raters_of(clip) + (1.0 - share) * num_raters_of(other)
    return PreparedClip(
        f"{clip.clip_id} with {other.clip_id}",
        {AUDIO: waveform},
        _mixed(clip.emi, other.emi, share),
        vad,
        raters,
    )


def _mixed(labels: Floats, others: Floats, share: float) -> Floats:
    return (share * labels + (1.0 - share) * others).astype(np.float32)


def _cropped_lengths(num_samples: Sequence[int], config: TrainConfig) -> NDArray[np.int64]:
    lengths = np.asarray(num_samples, np.int64)
    if config.crop_seconds is None:
        return lengths
    return lengths.clip(max=seconds_to_samples(config.crop_seconds))
