"""How the branches' weights are named, and what a model of branches refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from emi_model.architecture.branch import Padded
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.errors import ConfigError


def test_names_of_weights_are_those_of_every_checkpoint(
    tiny_model: Callable[..., EmiModel],
) -> None:
    model = tiny_model()
    state = model.state_dict()
    parts = {name.partition(".")[0] for name in state}
    assert parts == {"backbone", "vad_head", "fusion"}
    assert [*state] == [
        name.removeprefix("branches.audio.") for name, _ in model.named_parameters()
    ]
    other = copy.deepcopy(tiny_model(seed=1))
    other.load_state_dict(state)
    assert all(torch.equal(weight, state[name]) for name, weight in other.state_dict().items())


def test_a_needed_modality_that_is_missing_is_refused(
    tiny_model: Callable[..., EmiModel],
) -> None:
    text = Padded(torch.zeros(1, 4), torch.tensor([4]))
    with pytest.raises(ConfigError, match="no input for 'audio'"):
        tiny_model()({"text": text})


def test_the_audio_branch_takes_one_argument(
    tiny_backbone: Callable[..., dict[str, Any]],
) -> None:
    config = EmiConfig(backbone=tiny_backbone(), branches={"audio": {"width": 3}})
    with pytest.raises(ConfigError, match=r"\['width'\], expected no argument but 'trained'"):
        EmiModel(config)
