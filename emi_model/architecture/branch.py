"""The input and output of every branch of the model, whatever its modality."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from emi_model.arrays import Array
from emi_model.audio.batching import pad
from emi_model.modalities import AUDIO
from emi_model.units import SAMPLING_RATE

ClipInputs = Mapping[str, Array]
"""A clip's inputs by modality, each (N, ...) as its extractor returned it; no absent ones."""


class Padded(NamedTuple):
    """The inputs of B clips in one modality.

    Attributes:
        values: (B, N, ...), zeros after each clip's end.
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
    """The input that a branch expects.

    Attributes:
        min_length: entries of the shortest input that it accepts.
        prepare: converts an extractor's output (N, ...), of any length, to the branch's input.
        rate: entries a second; None where the input is not a sequence in time.
        usable: whether a stretch of an extractor's output holds anything that the branch can
            encode; None: always.
        nothing: value of entries that hold nothing: 0, as in silence or where there is no face.
    """

    min_length: int
    prepare: Callable[[Array], Array]
    rate: float | None = None
    usable: Callable[[Array], bool] | None = None
    nothing: float = 0.0

    def holds(self, values: Array) -> bool:
        """Return whether a stretch of an input can be encoded: long enough, and usable."""
        return len(values) >= self.min_length and (self.usable is None or self.usable(values))

    @property
    def min_samples(self) -> int:
        """Samples at 16 kHz that the shortest input lasts; 1 where it is not a sequence in time."""
        return 1 if self.rate is None else math.ceil(self.min_length * SAMPLING_RATE / self.rate)

    def num_samples(self, values: Array) -> int | None:
        """Return how long an input lasts, in samples at 16 kHz; None where it has no duration."""
        return None if self.rate is None else int(len(values) * SAMPLING_RATE / self.rate + 0.5)

    def cut(self, values: Array, start: int, end: int) -> Array:
        """Return the part of an input within ``[start, end)``, in samples at 16 kHz.

        Bounds are rounded to the nearest entry, half up. An input without a rate is never cut.
        """
        if self.rate is None:
            return values
        if self.rate == SAMPLING_RATE:
            return values[start:end]
        first, last = (int(at * self.rate / SAMPLING_RATE + 0.5) for at in (start, end))
        return values[first:last]


@dataclass(frozen=True)
class BranchOutput:
    """A branch's output for B clips of up to F frames.

    Attributes:
        features: float32 (B, F, D), arbitrary after a clip's end.
        num_frames: int64 (B,), frames of each clip, one or more.
        vector: (B, D), one vector a clip; None: the mean over its frames is used.
        extras: further values of each clip by name, (B, ...), such as ``frame_vad``.
        rows: int64 (B,), indices of these clips in the batch, where some lack the modality.
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
        """Return values (num_clips, ...) for the whole batch, zero where the modality is absent."""
        if self.rows is None:
            return values
        return values.new_zeros((num_clips, *values.shape[1:])).index_copy(0, self.rows, values)


class Branch(nn.Module):
    """A part of the model that encodes one modality.

    A subclass is built from the model's `EmiConfig` and the arguments given there for it. Register
    it with `emi_model.architecture.registry.register_branch`.

    Attributes:
        spec: the input that it expects.
        feature_size: D of its features and its vector.
        hidden_size: width of its largest matrix products.
        is_sequential: the fusion reads its frames with an LSTM, in addition to its vector.
        needs_equal_lengths: all clips of a batch must have the same length.
        hop_samples: samples at 16 kHz from one frame's start to the next; 0 where frames do not
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
        """Encode B clips; a clip's output does not depend on the batch.

        Args:
            values: (B, N, ...), prepared, zeros after each clip's end.
            lengths: int64 (B,), ``spec.min_length`` or more.
            dtype: type of large matrix products (autocast).
        """
        raise NotImplementedError

    def read_files(self, folder: Path) -> None:
        """Read what the branch keeps beside the weights; by default nothing.

        Args:
            folder: below the checkpoint's, with the modality's name.

        Raises:
            CheckpointError: a file is missing or damaged.
        """

    def write_files(self, folder: Path) -> None:
        """Write what `read_files` reads, to a folder that is made if something is written."""

    def keep_outputs(self, *, kept: bool) -> None:
        """Keep what an encoder that is not trained gives for a clip, or forget it.

        It is for a training that sees the same inputs in every epoch. By default nothing is kept.
        """

    def measure(self, clips: Iterable[Array]) -> None:
        """Take what the branch has to know of the training data, before a training begins.

        Args:
            clips: its inputs of the clips that have it, as the extractor returned them.

        By default nothing is read.
        """

    def freeze_first_layers(self, *, frozen: bool) -> None:
        """Freeze the layers next to the input, or unfreeze them; by default a branch has none."""


def duration_of(clip: ClipInputs, specs: Mapping[str, InputSpec]) -> int | None:
    """Return a clip's duration in samples at 16 kHz: that of its audio, else of its longest input.

    None where no input is a sequence in time.
    """
    found = {name: specs[name].num_samples(values) for name, values in clip.items()}
    lasting = {name: length for name, length in found.items() if length is not None}
    return lasting.get(AUDIO, max(lasting.values(), default=None))


def stretch_of(
    clip: ClipInputs,
    specs: Mapping[str, InputSpec],
    required: Collection[str],
    start: int,
    end: int,
) -> dict[str, Array]:
    """Return the parts of a clip's inputs within ``[start, end)``, in samples at 16 kHz.

    An input that holds nothing to encode there (no face) is left out. Where the clip would be lost
    without it, all of the input is returned, of whatever time; audio that is too short stays.
    """
    parts = {}
    for name in specs.keys() & clip.keys():
        needed = name in required or len(clip) == 1
        part = specs[name].cut(clip[name], start, end)
        if needed and name != AUDIO and not specs[name].holds(part):
            part = clip[name]
        if needed or specs[name].holds(part):
            parts[name] = part
    return {name: parts[name] for name in specs if name in parts}


def collate(clips: Sequence[ClipInputs], modalities: Sequence[str]) -> dict[str, Padded]:
    """Return the prepared inputs of clips as one batch, without modalities that no clip has."""
    batch = {}
    for modality in modalities:
        found = [clip.get(modality) for clip in clips]
        first = next((values for values in found if values is not None), None)
        if first is not None:
            empty = np.zeros((0, *first.shape[1:]), first.dtype)
            batch[modality] = Padded(*pad([empty if one is None else one for one in found]))
    return batch


def frame_mask(num_frames: Tensor, longest: int) -> Tensor:
    """Return bool (B, longest), true on each clip's own frames."""
    return torch.arange(longest, device=num_frames.device) < num_frames[:, None]


def masked_mean(values: Tensor, num_frames: Tensor) -> Tensor:
    """Return the mean (B, D) over each clip's own frames of values (B, F, D)."""
    mask = frame_mask(num_frames, values.shape[1])
    return (values * mask[..., None]).sum(dim=1) / num_frames[:, None]
