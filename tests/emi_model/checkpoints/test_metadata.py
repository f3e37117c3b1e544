from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.checkpoints.metadata import CONFIG_FILE, checkpoint_metadata
from emi_model.errors import CheckpointError, ConfigError


@pytest.fixture
def saved(tiny_model: Callable[..., EmiModel], tmp_path: Path) -> Path:
    model = tiny_model()
    save_checkpoint(tmp_path / "saved", model, ModelCard("tiny", model.config.targets))
    return tmp_path / "saved"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lstm_layers": "2"}, "lstm_layers is '2', expected a whole number"),
        ({"targets": "Joy"}, "targets is 'Joy', expected a list of names"),
        ({"backbone": {"hidden_size": "16"}}, "backbone.hidden_size is '16', expected the like of"),
    ],
)
def test_a_field_of_another_type_is_named_with_its_file(
    saved: Path, change: dict[str, Any], said: str
) -> None:
    content = json.loads((saved / CONFIG_FILE).read_text(encoding="utf-8")) | change
    (saved / CONFIG_FILE).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        checkpoint_metadata(saved)
    assert str(caught.value).startswith(f"{saved / CONFIG_FILE}: {said}")


def test_lists_of_clips_of_another_type_are_refused(saved: Path) -> None:
    (saved / "training_clips.json").write_text('{"train": 3}')
    with pytest.raises(CheckpointError, match=r"training_clips\.json: train is no list of hashes"):
        checkpoint_metadata(saved)
