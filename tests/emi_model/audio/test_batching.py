from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emi_model.audio.batching import MAX_PADDING_SHARE, pad, padding_share, plan_batches

LENGTHS = st.lists(
    st.one_of(st.integers(400, 192_000), st.integers(400, 700), st.sampled_from([400, 192_000])),
    max_size=60,
)
BOUNDS = st.integers(1, 2_000_000)


@given(LENGTHS, BOUNDS, st.booleans())
def test_every_clip_is_in_one_batch_within_the_bound(
    lengths: list[int], bound: int, equal_lengths: bool
) -> None:
    batches = plan_batches(lengths, bound, equal_lengths=equal_lengths)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        held = [lengths[index] for index in batch]
        assert len(batch) == 1 or max(held) * len(held) <= bound
        assert padding_share(lengths, [batch]) <= MAX_PADDING_SHARE + 1e-12
        assert not equal_lengths or len(set(held)) == 1


@given(LENGTHS, BOUNDS)
def test_batches_go_from_short_to_long(lengths: list[int], bound: int) -> None:
    planned = [index for batch in plan_batches(lengths, bound) for index in batch]
    assert planned == sorted(planned, key=lambda index: (lengths[index], index))


@given(st.integers(1, 50), st.integers(400, 20_000), st.integers(1, 12), st.booleans())
def test_clips_of_one_length_fill_their_batches(
    num_clips: int, length: int, clips_a_batch: int, equal_lengths: bool
) -> None:
    batches = plan_batches(
        [length] * num_clips, clips_a_batch * length, equal_lengths=equal_lengths
    )
    full, rest = divmod(num_clips, clips_a_batch)
    assert [len(batch) for batch in batches] == [clips_a_batch] * full + [rest] * bool(rest)


def test_a_clip_over_the_bound_is_a_batch_of_its_own() -> None:
    assert plan_batches([16_000, 500_000, 16_000], 100_000) == [[0, 2], [1]]


def test_a_tenth_of_padding_is_let_in_and_no_more() -> None:
    assert plan_batches([800, 1_000], 10_000) == [[0, 1]]  # 200 of 2,000
    assert plan_batches([799, 1_000], 10_000) == [[0], [1]]


def test_no_clips_no_batches() -> None:
    assert plan_batches([], 1_000) == []
    assert padding_share([], []) == 0


def test_padding_share() -> None:
    assert padding_share([100, 50, 10], [[0, 1], [2]]) == pytest.approx(50 / 210)
    assert padding_share([100, 100], [[0, 1]]) == 0


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_pad_puts_zeros_behind(lengths: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    waveforms = [generator.standard_normal(length).astype(np.float32) for length in lengths]
    batch, num_samples = pad(waveforms)
    assert (batch.dtype, num_samples.dtype) == (torch.float32, torch.int64)
    assert batch.shape == (len(lengths), max(lengths))
    assert num_samples.tolist() == lengths
    for row, waveform in zip(batch.numpy(), waveforms, strict=True):
        assert np.array_equal(row[: len(waveform)], waveform)
        assert not row[len(waveform) :].any()
