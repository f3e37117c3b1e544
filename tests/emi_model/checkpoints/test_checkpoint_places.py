"""Where a checkpoint is saved, and where it is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from emi_model.errors import CheckpointError
from tests.emi_model.checkpoints.test_checkpoint import card_of, same_weights


def test_a_card_of_another_model_is_not_saved(
    tmp_path: Path, tiny_model: Callable[..., EmiModel]
) -> None:
    with pytest.raises(CheckpointError, match="card names targets"):
        save_checkpoint(tmp_path / "x", tiny_model(), ModelCard("x", ("Joy",)))
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_folder_is_left_alone(
    tmp_path: Path, tiny_model: Callable[..., EmiModel]
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.md").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    model = tiny_model()
    for name in ("thesis", "file"):
        with pytest.raises(CheckpointError, match="is no checkpoint"):
            save_checkpoint(tmp_path / name, model, card_of(model))
    assert (tmp_path / "thesis" / "chapter.md").read_text() == "years of work"
    assert {path.name for path in tmp_path.iterdir()} == {"thesis", "file"}


def test_an_empty_folder_is_taken(tmp_path: Path, tiny_model: Callable[..., EmiModel]) -> None:
    model = tiny_model()
    (tmp_path / "empty").mkdir()
    save_checkpoint(tmp_path / "empty", model, card_of(model))
    assert same_weights(load_checkpoint(tmp_path / "empty").model, model)


def test_an_interrupted_first_save_leaves_nothing(
    tmp_path: Path, tiny_model: Callable[..., EmiModel]
) -> None:
    model = tiny_model()
    with pytest.raises(TypeError):
        save_checkpoint(tmp_path / "x", model, card_of(model, metrics={"x": object()}))
    assert list(tmp_path.iterdir()) == []
