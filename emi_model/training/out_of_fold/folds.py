"""Which training clips are left out together: a speaker is never on both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emi_model.errors import TrainingError
from emi_model.training.clips import TrainingClip, by_speaker
from emi_model.training.config import TrainConfig

FOLDS = 3
"""Purpose of the random numbers, beside those of `emi_model.training.batches`."""


def folds_of(clips: Sequence[TrainingClip], config: TrainConfig) -> list[list[int]]:
    """Return the folds as indices of clips, each sorted; every clip is in one.

    Clips of one speaker are in one fold; a clip without a speaker is its own. Speakers are drawn
    from the recipe's seed, those with most clips first, each into the fold that has fewest. Where
    there are fewer speakers than folds, each speaker is a fold.

    Raises:
        TrainingError: all clips are of one speaker.
    """
    groups = by_speaker(clips)
    if len(groups) < 2:
        raise TrainingError(
            "found clips of one speaker, expected two or more to fit the fusion out of fold: take "
            "another fusion, or label clips of more speakers"
        )
    rng = np.random.default_rng([config.seed, FOLDS])
    drawn = [groups[place] for place in rng.permutation(len(groups))]
    folds: list[list[int]] = [[] for _ in range(min(config.folds, len(groups)))]
    for group in sorted(drawn, key=len, reverse=True):
        min(folds, key=len).extend(group)
    return [sorted(fold) for fold in folds]
