"""No speaker is on both sides of a fold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emi_model.errors import TrainingError
from emi_model.training.clips import LabelledClip
from emi_model.training.config import TrainConfig
from emi_model.training.out_of_fold.folds import folds_of

SPEAKERS = st.lists(st.sampled_from(["", "ann", "ben", "cem", "dov"]), min_size=2, max_size=30)


def settings(folds: int = 5, seed: int = 1) -> TrainConfig:
    return TrainConfig(epochs=2, batch_size=4, learning_rate=1e-3, folds=folds, seed=seed)


def clips_of(speakers: list[str]) -> list[LabelledClip]:
    labels = np.zeros(2, np.float32)
    return [LabelledClip(str(n), {}, labels, speaker=name) for n, name in enumerate(speakers)]


@given(SPEAKERS, st.integers(2, 6))
def test_every_clip_is_left_out_once_and_with_its_speaker(
    speakers: list[str], num_folds: int
) -> None:
    known = {name for name in speakers if name}
    if len(known) + speakers.count("") < 2:
        with pytest.raises(TrainingError, match="clips of one speaker"):
            folds_of(clips_of(speakers), settings(num_folds))
        return
    folds = folds_of(clips_of(speakers), settings(num_folds))
    assert 2 <= len(folds) <= num_folds
    assert sorted(index for fold in folds for index in fold) == list(range(len(speakers)))
    assert all(folds)
    for name in known:
        assert sum(any(speakers[index] == name for index in fold) for fold in folds) == 1


def test_folds_are_even_and_drawn_from_the_seed() -> None:
    clips = clips_of([""] * 23)
    folds = folds_of(clips, settings())
    assert sorted(map(len, folds)) == [4, 4, 5, 5, 5]
    assert folds == folds_of(clips, settings())
    assert folds != folds_of(clips, settings(seed=2))
