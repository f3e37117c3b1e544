"""Exact Shapley values: what each player adds to a result, on average over all orders of joining.

Shapley 1953, "A Value for n-Person Games". Their sum is the result of all players minus the result
of none; players that add the same have the same value; one that never adds anything has 0.
"""

from __future__ import annotations

from math import factorial

import numpy as np
from numpy.typing import NDArray

from emi_model.arrays import Doubles
from emi_model.errors import ConfigError


def coalitions(num_players: int) -> NDArray[np.bool_]:
    """Return every set of players, bool (2^n, n): in row k are those whose bit in k is set.

    The first row is the empty set, the last one holds all players.
    """
    bits = np.arange(2**num_players)[:, None] >> np.arange(num_players)
    found: NDArray[np.bool_] = bits % 2 == 1
    return found


def shapley_values(results: Doubles) -> Doubles:
    """Return each player's value (n, T).

    Args:
        results: (2^n, T), of each row of `coalitions`.

    Raises:
        ConfigError: the number of results is no power of 2.
    """
    num_players = len(results).bit_length() - 1
    if len(results) != 2**num_players:
        raise ConfigError(f"found {len(results)} results, expected one of each set of players")
    sizes = coalitions(num_players).sum(axis=1)
    each = factorial(num_players)
    weights = np.array(
        [factorial(size) * factorial(num_players - size - 1) / each for size in range(num_players)]
    )
    values = np.zeros((num_players, results.shape[1]))
    for player in range(num_players):
        without = np.flatnonzero((np.arange(len(results)) >> player) & 1 == 0)
        gains = results[without + 2**player] - results[without]
        values[player] = weights[sizes[without]] @ gains
    return values
