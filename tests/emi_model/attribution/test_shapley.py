"""Shapley values against their definition: the mean gain over all orders of joining."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from emi_model.attribution.shapley import coalitions, shapley_values
from emi_model.errors import ConfigError

TARGETS = 3

Results = NDArray[np.float64]


def games(most: int = 5) -> st.SearchStrategy[Results]:
    """Results of every set of 1 to ``most`` players."""
    numbers = st.floats(-100, 100, width=32)
    return st.integers(1, most).flatmap(
        lambda players: arrays(np.float64, (2**players, TARGETS), elements=numbers)
    )


def plain(results: Results) -> Results:
    """The definition: each player's gain when it joins, over all orders."""
    num_players = len(results).bit_length() - 1
    gains = np.zeros((num_players, results.shape[1]))
    orders = list(permutations(range(num_players)))
    for order in orders:
        inside = 0
        for player in order:
            gains[player] += results[inside + 2**player] - results[inside]
            inside += 2**player
    return gains / len(orders)


@given(games(4))
def test_values_are_those_of_the_definition(results: Results) -> None:
    np.testing.assert_allclose(shapley_values(results), plain(results), rtol=0, atol=1e-9)


@given(games())
def test_values_add_up_to_what_all_gain_together(results: Results) -> None:
    whole = results[0] + shapley_values(results).sum(axis=0)
    np.testing.assert_allclose(whole, results[-1], rtol=0, atol=1e-9)


@given(games(3), st.floats(-10, 10))
def test_a_player_that_adds_the_same_everywhere_has_just_that(
    results: Results, gain: float
) -> None:
    values = shapley_values(np.concatenate([results, results + gain]))  # another player
    np.testing.assert_allclose(values[-1], gain, rtol=0, atol=1e-9)
    np.testing.assert_allclose(values[:-1], shapley_values(results), rtol=0, atol=1e-9)


@given(games(4))
def test_players_that_can_be_exchanged_have_equal_values(results: Results) -> None:
    sets = coalitions(len(results).bit_length() - 1)
    by_size = results[: sets.shape[1] + 1][sets.sum(axis=1)]  # only the number of players counts
    values = shapley_values(by_size)
    np.testing.assert_allclose(values, np.broadcast_to(values[0], values.shape), rtol=0, atol=1e-9)


@given(games(4), st.floats(-3, 3), st.integers(0, 9))
def test_values_are_linear(results: Results, factor: float, seed: int) -> None:
    others = np.random.default_rng(seed).standard_normal(results.shape)
    found = shapley_values(results + factor * others)
    expected = shapley_values(results) + factor * shapley_values(others)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)


def test_sets_are_numbered_by_their_bits() -> None:
    assert coalitions(2).tolist() == [[False, False], [True, False], [False, True], [True, True]]
    assert shapley_values(np.array([[1.0], [3.0], [2.0], [9.0]])).tolist() == [[4.5], [3.5]]
    with pytest.raises(ConfigError, match="found 3 results, expected one of each set"):
        shapley_values(np.zeros((3, 1)))
