"""What every branch of the model takes and gives, whatever its modality."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from emi_model.arrays import Array
from emi_model.audio.batching import pad
from emi_model.modalities import AUDIO
from emi_model.units import SAMPLING_RATE

ClipInputs = Mapping[str, Array]
"""A clip's inputs by modality, each (N, ...) as its extractor gave it; absent ones are left out."""


class Padded(NamedTuple):
    """The inputs of B clips in one modality.

    Attributes:
        values: (B, N, ...), zeros behind each clip's end.
        lengths: int64 (B,), entries of each clip; 0 where the clip lacks the modality.
    """

    values: Tensor
    lengths: Tensor

    def to(self, device: torch.device) -> Padded:
        """Return the same on a device."""
        return Padded(
            self.values.to(device, non_blocking=True), self.lengths.to(device, non_blocking=True)
        )


Inputs = Mapping[str, Padded]
"""The inputs of a batch by modality."""


@dataclass(frozen=True)
class InputSpec:
    """How a branch wants its input.

    Attributes:
        min_length: entries of the shortest input that it can take.
        prepare: makes the input (N, ...) of an extractor what the branch takes, of any length.
        rate: entries a second; None where the input is not a sequence in time.
    """

    min_length: int
    prepare: Callable[[Array], Array]
    rate: float | None = None

    @property
    def min_samples(self) -> int:
        """Samples of 16 kHz that the shortest input lasts; 1 where it is not a sequence in time."""
        return 1 if self.rate is None else math.ceil(self.min_length * SAMPLING_RATE / self.rate)

    def num_samples(self, values: Array) -> int | None:
        """Return how long an input lasts, in samples of 16 kHz; None where it has no duration."""
        return None if self.rate is None else int(len(values) * SAMPLING_RATE / self.rate + 0.5)

    def cut(self, values: Array, start: int, end: int) -> Array:
        """Return the part of an input within ``[start, end)``, in samples of 16 kHz.

        Bounds are rounded to the nearest entry, half up. What is not a sequence in time is whole.
        """
        if self.rate is None:
            return values
        if self.rate == SAMPLING_RATE:
            return values[start:end]
        first, last = (int(at * self.rate / SAMPLING_RATE + 0.5) for at in (start, end))
        return values[first:last]


@dataclass(frozen=True)
class BranchOutput:
    """What a branch gives for B clips of up to F frames.

    Attributes:
        features: float32 (B, F, D), of no meaning behind a clip's end.
        num_frames: int64 (B,), frames of each clip, one or more.
        vector: (B, D), one vector a clip; None: the mean over its frames stands for it.
        extras: more values a clip by name, (B, ...), such as ``frame_vad``.
        rows: int64 (B,), which clips of the batch these are, where some lack the modality.
    """

    features: Tensor
    num_frames: Tensor
    vector: Tensor | None = None
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    rows: Tensor | None = None

    def clip_vector(self) -> Tensor:
        """Return one vector a clip, (B, D)."""
        if self.vector is not None:
            return self.vector
        return masked_mean(self.features, self.num_frames)

    def spread(self, values: Tensor, num_clips: int) -> Tensor:
        """Return values (B, ...) for all clips of the batch, zero where the modality is absent."""
        if self.rows is None:
            return values
        return values.new_zeros((num_clips, *values.shape[1:])).index_copy(0, self.rows, values)


class Branch(nn.Module):
    """A part of the model that encodes one modality.

    A subclass is built from the model's `EmiConfig` and its own arguments there, and registered
    with `emi_model.architecture.registry.register_branch`.

    Attributes:
        spec: how it wants its input.
        feature_size: D of its features and its vector.
        hidden_size: width of its largest products of matrices.
        is_sequential: the fusion reads its frames with an LSTM, beside its vector.
        needs_equal_lengths: clips that share a batch have to be of one length.
        hop_samples: samples of 16 kHz from one frame's start to the next; 0 where frames do not
            follow time.
    """

    spec: InputSpec
    feature_size: int
    hidden_size: int
    is_sequential: bool = True
    needs_equal_lengths: bool = False
    hop_samples: int = 0

    def forward(
        self, values: Tensor, lengths: Tensor, *, dtype: torch.dtype | None = None
    ) -> BranchOutput:
        """Encode B clips, each the same in every batch.

        Args:
            values: (B, N, ...), prepared, zeros behind each clip's end.
            lengths: int64 (B,), ``spec.min_length`` or more.
            dtype: let large products be computed in this type (autocast).
        """
        raise NotImplementedError

    def freeze_first_layers(self, *, frozen: bool) -> None:
        """Keep the layers next to the input from learning, or let them; where there are such."""


def size_of(clip: ClipInputs) -> int:
    """Return what batches are planned by: samples of audio, else entries of the longest input."""
    return len(clip[AUDIO]) if AUDIO in clip else max(map(len, clip.values()), default=0)


def collate(clips: Sequence[ClipInputs], modalities: Sequence[str]) -> dict[str, Padded]:
    """Return clips' prepared inputs as one batch, without modalities that no clip has."""
    batch = {}
    for modality in modalities:
        given = [clip.get(modality) for clip in clips]
        like = next((values for values in given if values is not None), None)
        if like is not None:
            none = np.zeros((0, *like.shape[1:]), like.dtype)
            batch[modality] = Padded(*pad([none if one is None else one for one in given]))
    return batch


def frame_mask(num_frames: Tensor, longest: int) -> Tensor:
    """Return bool (B, longest), true on each clip's own frames."""
    return torch.arange(longest, device=num_frames.device) < num_frames[:, None]


def masked_mean(values: Tensor, num_frames: Tensor) -> Tensor:
    """Return the mean (B, D) over each clip's own frames of values (B, F, D)."""
    mask = frame_mask(num_frames, values.shape[1])
    return (values * mask[..., None]).sum(dim=1) / num_frames[:, None]
