"""The steps of training, and the average of the weights."""

import pytest
import torch
from torch import nn

from emi_model.training.config import TrainConfig
from emi_model.training.optimiser import Optimiser


def test_an_average_takes_whole_numbers_as_they_are():
    model = nn.Linear(2, 1, bias=False)
    model.register_buffer("places", torch.arange(3))
    config = TrainConfig(
        epochs=1, batch_size=1, learning_rate=0.1, warmup_epochs=0.0, ema_decay=0.5
    )
    optimiser = Optimiser(model, config, steps_per_epoch=2)
    before = model.weight.detach().clone()
    model.places += 4
    optimiser.step(model(torch.ones(1, 2)).sum())
    averaged = optimiser.smoothed
    assert averaged.places.tolist() == [4, 5, 6]
    expected = ((before + model.weight) / 2).flatten().tolist()
    assert averaged.weight.flatten().tolist() == pytest.approx(expected)
