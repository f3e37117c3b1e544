"""How far answers name the right emotions and cues: overlap by label and by clue.

Emotion-LLaMA's "clue overlap" and "label overlap" are a chat model's opinions from 0 to 10; here
they are F1 between two sets of words, so that anybody gets the same figure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from emi_model.metrics.resamples import resampled_counts

_NUM_RESAMPLES = 2_000


class WithInterval(NamedTuple):
    """A mean over clips, with the ends of its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


def shared_f1(named: Collection[str], true: Collection[str]) -> float:
    """Return F1 between what was named and what is true, 0 to 1; 1 where both are empty."""
    common, total = len({*named} & {*true}), len({*named}) + len({*true})
    return 2 * common / total if total else 1.0


def mean_with_interval(
    values: Sequence[float], groups: Sequence[str | None] | None = None, *, seed: int = 0
) -> WithInterval:
    """Return the mean of a value a clip, and its percentile bootstrap interval over groups.

    Args:
        values: one a clip, at least one.
        groups: of the clips, as speakers; None: each clip is drawn by itself.
        seed: of the draws.
    """
    array = np.asarray(values, np.float64)
    blocks = resampled_counts(groups, len(array), _NUM_RESAMPLES, seed)
    means = np.concatenate([counts @ array / counts.sum(axis=1) for counts in blocks])
    low, high = np.quantile(means, [0.025, 0.975])
    return WithInterval(float(array.mean()), float(low), float(high))
