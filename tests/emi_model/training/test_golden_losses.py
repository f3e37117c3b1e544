"""The recipe for quick checks gives these figures; a change of any part of training shows here."""

from __future__ import annotations

import pytest
import torch

from emi_model.targets import EMI_TARGETS
from emi_model.training.first_weights import from_scratch
from emi_model.training.fit import fit
from emi_model.training.recipes import recipe_named
from tests.emi_model.training.noisy_clips import noisy_clips

GOLDEN = {
    ("Noise", "Tone"): {
        "train_loss": [1.684643, 0.861646, 0.512589],
        "valid_pearson": [-0.011544, 0.534764, 0.513532],
        "epoch": 2,
    },
    EMI_TARGETS: {
        "train_loss": [1.356696, 0.960773, 0.609049],
        "valid_pearson": [0.354093, 0.542278, 0.631169],
        "epoch": 3,
    },
}
"""By targets; instruction sets and numbers of threads change them by 5e-6.

In the first epochs one target is predicted constant, so it counts 0.
"""


@pytest.mark.parametrize("targets", GOLDEN)
def test_losses_are_the_golden_ones(targets: tuple[str, ...]) -> None:
    assert torch.get_num_threads() == 1  # conftest.py
    recipe = recipe_named("debug")
    num = len(targets)
    train_set = noisy_clips(24, num_targets=num)
    valid_set = noisy_clips(12, num_targets=num, seed=1)
    result = fit(from_scratch(recipe, targets), train_set, valid_set, recipe.train, device="cpu")
    expected = GOLDEN[targets]
    losses = [report.train_loss for report in result.history]
    followed = [report.valid_pearson for report in result.history]
    assert losses == pytest.approx(expected["train_loss"], rel=1e-4)
    assert followed == pytest.approx(expected["valid_pearson"], rel=1e-4, abs=1e-4)
    assert result.epoch == expected["epoch"]
