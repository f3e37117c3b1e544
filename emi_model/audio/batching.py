"""Which clips share a forward pass: batches of similar durations, bounded by total samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

MAX_PADDING_SHARE = 0.1
"""A batch takes no clip that would make more than this share of it padding."""


def plan_batches(
    num_samples: Sequence[int], max_batch_samples: int, *, equal_lengths: bool = False
) -> list[list[int]]:
    """Group clips into batches by duration, shortest first.

    Args:
        num_samples: samples of each clip.
        max_batch_samples: bound on a batch's number of clips x its longest clip, in samples; a
            longer clip is a batch of its own.
        equal_lengths: only clips of one length share a batch (group-norm backbones).

    Returns:
        Batches of indices into ``num_samples``, with at most a tenth of padding; every index once.
    """
    most_padding = 0.0 if equal_lengths else MAX_PADDING_SHARE
    order = sorted(range(len(num_samples)), key=lambda index: (num_samples[index], index))
    batches: list[list[int]] = []
    filled = 0  # samples of the last batch, without padding
    for index in order:
        longest = num_samples[index]  # sorted: the longest of its batch so far
        padded = longest * (len(batches[-1]) + 1) if batches else 0
        fits = batches and padded <= max_batch_samples
        if fits and padded - filled - longest <= most_padding * padded:
            batches[-1].append(index)
            filled += longest
        else:
            batches.append([index])
            filled = longest
    return batches


def plan_ragged(num_samples: Sequence[int], max_samples: int) -> list[list[int]]:
    """Group clips that are laid end to end without padding, shortest first, as many as fit.

    Args:
        num_samples: samples of each clip.
        max_samples: bound on the samples of a group; a longer clip is a group of its own.

    Returns:
        Groups of indices into ``num_samples``; every index once.
    """
    order = sorted(range(len(num_samples)), key=lambda index: (num_samples[index], index))
    groups: list[list[int]] = []
    filled = max_samples
    for index in order:
        if filled + num_samples[index] > max_samples:
            groups.append([])
            filled = 0
        groups[-1].append(index)
        filled += num_samples[index]
    return groups


def padding_share(num_samples: Sequence[int], batches: Iterable[Sequence[int]]) -> float:
    """Return the share of padding among all samples of the batches, [0, 1)."""
    lengths = [[num_samples[index] for index in batch] for batch in batches]
    padded = sum(max(batch) * len(batch) for batch in lengths)
    return 1 - sum(map(sum, lengths)) / padded if padded else 0.0


def pad(arrays: Sequence[NDArray[Any]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack arrays (N, ...), such as waveforms (samples,), with zeros after the shorter ones.

    Returns:
        (B, N, ...) of the arrays' type with N the longest, and int64 (B,) the length of each.
    """
    lengths = torch.tensor([len(array) for array in arrays], dtype=torch.int64)
    batch = np.zeros((len(arrays), int(lengths.max()), *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(batch, arrays, strict=True):
        row[: len(array)] = array
    return torch.from_numpy(batch), lengths
