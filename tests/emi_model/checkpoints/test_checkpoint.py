from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from emi_model.checkpoints.metadata import (
    CARD_FILE,
    CONFIG_FILE,
    README_FILE,
    WEIGHTS_FILE,
    checkpoint_metadata,
    hash_files,
    read_config,
)
from emi_model.errors import CheckpointError, ConfigError
from emi_model.predict import Predictor

FILES = {CONFIG_FILE, WEIGHTS_FILE, CARD_FILE, README_FILE}


def card_of(model: EmiModel, **fields: Any) -> ModelCard:
    return ModelCard(name="tiny", targets=model.config.targets, **fields)


@pytest.fixture
def saved(tmp_path: Path, tiny_model: Callable[..., EmiModel]) -> Path:
    folder = tmp_path / "models" / "tiny"
    model = tiny_model()
    save_checkpoint(folder, model, card_of(model))
    return folder


def same_weights(one: EmiModel, other: EmiModel) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


Read = Callable[[Path], object]

both_readers = pytest.mark.parametrize("read", [load_checkpoint, checkpoint_metadata])
"""Papers are read without the weights, and refuse what loading refuses, but for the weights."""


def rewrite_json(path: Path, **change: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


def rewrite_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the weights of a checkpoint and leave its metadata as they are."""
    state, metadata = load_file(folder / WEIGHTS_FILE), beside_weights(folder)
    change(state)
    save_file(state, folder / WEIGHTS_FILE, metadata=metadata)


def beside_weights(folder: Path) -> dict[str, str]:
    with safe_open(folder / WEIGHTS_FILE, framework="pt") as content:
        return dict(content.metadata())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"targets": ()},
        {"targets": ("Überraschung", "Joy")},
        {"vad_head": False, "lstm": False, "regression_head": False},
        {"backbone": {"feat_extract_norm": "group", "conv_bias": False}, "lstm_layers": 1},
    ],
)
def test_round_trip_to_the_bit(
    tmp_path: Path,
    tiny_model: Callable[..., EmiModel],
    noises: Callable[..., list[np.ndarray]],
    scores_of: Callable[..., dict[str, np.ndarray]],
    largest_difference: Callable[..., float],
    fields: dict[str, Any],
) -> None:
    model = tiny_model(seed=3, **fields)
    card = card_of(model, metrics={"mean Pearson": 0.5}, recipe="none")
    save_checkpoint(tmp_path / "tiny", model, card)
    loaded = load_checkpoint(tmp_path / "tiny")
    assert (loaded.model.config, loaded.card) == (model.config, card)
    assert same_weights(loaded.model, model)
    assert not loaded.model.training
    waveforms = noises([2_000, 400])
    found, expected = Predictor(loaded.model, device="cpu"), Predictor(model, device="cpu")
    for one, other in zip(found(waveforms), expected(waveforms), strict=True):
        assert largest_difference(scores_of(one), scores_of(other)) == 0


def test_a_checkpoint_is_four_files_that_all_may_read(saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == FILES
    assert saved.stat().st_mode & 0o055 == (saved.parent.stat().st_mode & 0o055)
    assert [path.name for path in saved.parent.iterdir()] == ["tiny"]


def test_papers_agree_on_the_targets(saved: Path) -> None:
    orders = [
        read_config(saved)["targets"],
        json.loads((saved / CARD_FILE).read_text())["targets"],
        json.loads(beside_weights(saved)["targets"]),
    ]
    assert orders == [list(load_checkpoint(saved).model.config.targets)] * 3


def test_equal_models_have_equal_hashes(
    saved: Path, tmp_path: Path, tiny_model: Callable[..., EmiModel]
) -> None:
    model = tiny_model()
    hashes = {load_checkpoint(saved).sha256}
    for time in range(5):  # chance once had a hand in the order of the metadata
        folder = tmp_path / f"again-{time}"
        save_checkpoint(folder, model, card_of(model, recipe="another card"))
        hashes.add(hash_files(folder))
    assert len(hashes) == 1


def test_other_models_have_other_hashes(
    saved: Path, tmp_path: Path, tiny_model: Callable[..., EmiModel]
) -> None:
    before = load_checkpoint(saved).sha256
    assert len(before) == 64
    other = tiny_model(seed=1)
    save_checkpoint(tmp_path / "weights", other, card_of(other))
    assert load_checkpoint(tmp_path / "weights").sha256 != before
    rewrite_json(saved / CONFIG_FILE, clip_seconds=6.0)
    assert load_checkpoint(saved).sha256 != before


def test_missing_weights_are_named(saved: Path) -> None:
    rewrite_weights(saved, lambda state: state.pop("vad_head.out_proj.bias"))
    with pytest.raises(
        CheckpointError, match=r"1 weights missing \(would be newly init.*vad_head\.out_proj\.bias"
    ):
        load_checkpoint(saved)


def test_superfluous_weights_are_named(saved: Path) -> None:
    rewrite_weights(saved, lambda state: state.update(wings=torch.zeros(2)))
    with pytest.raises(CheckpointError, match="1 weights not of this architecture: wings"):
        load_checkpoint(saved)


def test_misshapen_weights_are_named(saved: Path) -> None:
    rewrite_weights(saved, lambda state: state.update({"fusion.layers.2.bias": torch.zeros(7)}))
    with pytest.raises(CheckpointError, match=r"of another shape: fusion\.layers\.2\.bias"):
        load_checkpoint(saved)


def test_all_problems_are_said_at_once_and_briefly(saved: Path) -> None:
    def rename(state: dict[str, torch.Tensor]) -> None:
        for name in [name for name in state if name.startswith("fusion.")]:
            state["x." + name] = state.pop(name)

    rewrite_weights(saved, rename)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(saved)
    said = str(caught.value)
    assert "12 weights missing" in said
    assert "12 weights not of this architecture: x.fusion" in said
    assert said.count("fusion") == 6  # three names of each kind, then "..."
    assert "\n" not in said


REORDERED = ["Amusement", "Admiration", "Determination", "Empathic Pain", "Excitement", "Joy"]


@pytest.mark.parametrize("name", [CONFIG_FILE, CARD_FILE])
@both_readers
def test_another_order_of_targets_is_refused(read: Read, saved: Path, name: str) -> None:
    rewrite_json(saved / name, targets=REORDERED)
    with pytest.raises(CheckpointError, match="target orders differ"):
        read(saved)


@pytest.mark.parametrize("metadata", [None, {"targets": json.dumps(REORDERED)}, {"targets": "?"}])
@both_readers
def test_another_order_of_targets_in_the_weights_is_refused(
    read: Read, saved: Path, metadata: dict[str, str] | None
) -> None:
    save_file(load_file(saved / WEIGHTS_FILE), saved / WEIGHTS_FILE, metadata=metadata)
    with pytest.raises(CheckpointError, match="target"):
        read(saved)


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE, CARD_FILE])
@both_readers
def test_a_missing_file_is_named(read: Read, saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        read(saved)


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE, CARD_FILE])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[1, 2]", b"{"])
@both_readers
def test_a_damaged_file_is_named(read: Read, saved: Path, name: str, content: bytes) -> None:
    (saved / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        read(saved)


@both_readers
def test_half_a_weights_file_is_refused(read: Read, saved: Path) -> None:
    whole = (saved / WEIGHTS_FILE).read_bytes()
    (saved / WEIGHTS_FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        read(saved)


@both_readers
def test_a_card_without_targets_is_refused(read: Read, saved: Path) -> None:
    (saved / CARD_FILE).write_text('{"name": "x"}')
    with pytest.raises(CheckpointError, match="no model card"):
        read(saved)


@both_readers
def test_a_config_of_a_newer_version_is_refused(read: Read, saved: Path) -> None:
    rewrite_json(saved / CONFIG_FILE, wings=2)
    with pytest.raises(ConfigError, match="wings"):
        read(saved)


def test_an_older_checkpoint_is_replaced(saved: Path, tiny_model: Callable[..., EmiModel]) -> None:
    newer = tiny_model(seed=1, targets=("Awe",))
    save_checkpoint(saved, newer, card_of(newer))
    loaded = load_checkpoint(saved)
    assert loaded.card.targets == ("Awe",)
    assert same_weights(loaded.model, newer)
    assert [path.name for path in saved.parent.iterdir()] == ["tiny"]


def test_an_interrupted_save_leaves_the_older_checkpoint_whole(
    saved: Path, tiny_model: Callable[..., EmiModel]
) -> None:
    newer = tiny_model(seed=1)
    before = load_checkpoint(saved).sha256
    unwritable = card_of(newer, metrics={"x": object()})  # JSON fails once the weights are there
    with pytest.raises(TypeError):
        save_checkpoint(saved, newer, unwritable)
    assert load_checkpoint(saved).sha256 == before
    assert [path.name for path in saved.parent.iterdir()] == ["tiny"]
