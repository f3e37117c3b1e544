"""Two real processes over gloo train the model that one process trains."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from emi_model.training.first_weights import from_scratch
from emi_model.training.group import SingleProcess
from emi_model.training.state import FolderJournal
from emi_model.training.validate import evaluate_clips
from tests.emi_model.training import train_together
from tests.emi_model.training.noisy_clips import noisy_clips
from tests.emi_model.training.train_together import (
    TRAININGS,
    debug_recipe,
    group_of,
    learn,
    outcome,
)

ROOT = Path(__file__).resolve().parents[3]

FREE = {"pearson": ("fusion.layers.2.bias",)}
"""Weights that a loss says nothing about: Adam makes whole steps of the noise in their gradients.

Nor does any loss say anything about the bias of the keys: softmax does not see it.
"""


class Found(NamedTuple):
    """What two processes found, and the folder where they met."""

    ranks: tuple[dict[str, Any], dict[str, Any]]
    folder: Path


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Let this process be rank 0 and another one rank 1."""
    folder = tmp_path_factory.mktemp("group")
    command = [sys.executable, "-m", train_together.__name__, str(folder), "1", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment) as other:
        try:
            own = train_together.take_part(folder, 0, 2)
            assert other.wait(timeout=60) == 0
        finally:
            other.kill()
    return Found((own, torch.load(folder / "rank1.pt", weights_only=True)), folder)


@cache
def alone(name: str) -> Any:
    """Return what one process comes to."""
    return TRAININGS[name](SingleProcess())


def assert_alike(one: dict[str, Any], other: dict[str, Any], loss: str = "") -> None:
    """Compare two outcomes, up to the order in which floats are added."""
    assert other["epoch"] == one["epoch"]
    assert other["losses"] == pytest.approx(one["losses"], rel=1e-4, abs=1e-6)
    free = ("k_proj.bias", *FREE.get(loss, ()))
    for name, weight in one["weights"].items():
        if not name.endswith(free):
            torch.testing.assert_close(other["weights"][name], weight, rtol=0, atol=1e-4)
    if loss in FREE:
        return  # outputs of any level
    for expected, figures in zip(one["valid"], other["valid"], strict=True):
        for name in expected:
            assert figures[name] == pytest.approx(expected[name], abs=1e-4)


@pytest.mark.parametrize("name", TRAININGS)
def test_two_processes_train_what_one_trains(found: Found, name: str) -> None:
    assert any(len(figures) for figures in alone(name)["valid"])
    for rank in found.ranks:
        assert_alike(alone(name), rank[name], name)


@pytest.mark.parametrize("name", [*TRAININGS, "layers dropped"])
def test_all_processes_end_with_the_same_weights(found: Found, name: str) -> None:
    own, other = (rank[name]["weights"] for rank in found.ranks)
    assert own.keys() == other.keys()
    assert all(torch.equal(own[weight], other[weight]) for weight in own)


@pytest.mark.parametrize("name", ["mse", "mse+pearson", "many messages"])
def test_a_group_of_one_is_alone(tmp_path: Path, name: str) -> None:
    expected = alone(name)
    with group_of(1, 0, tmp_path) as group:
        grouped = TRAININGS[name](group)
    assert grouped["losses"] == expected["losses"]
    assert grouped["valid"] == expected["valid"]
    assert grouped["weights"].keys() == expected["weights"].keys()
    assert all(torch.equal(grouped["weights"][k], w) for k, w in expected["weights"].items())


def test_gradients_add_up_and_what_nobody_used_has_none(found: Found) -> None:
    for rank in found.ranks:
        first, second, unused = rank["gradients"]
        assert first.tolist() == [[1.0, 1.0]]
        assert second.tolist() == [[2.0, 2.0]]
        assert unused is None


def test_rows_come_in_the_order_of_the_ranks_however_many_each_has(found: Found) -> None:
    for rank in found.ranks:
        assert rank["rows"]["rows"].tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
        assert rank["rows"]["texts"] == ["0", "0", "1"]


@pytest.mark.parametrize(("name", "message"), [("odd clip", "nan"), ("odd valid clip", "finite")])
def test_every_process_names_the_clip_that_one_has_heard(
    found: Found, name: str, message: str
) -> None:
    for rank in found.ranks:
        assert message in rank[name]
        assert " on odd.mp4: " in rank[name]


def test_too_few_clips_for_the_workers_are_refused(found: Found) -> None:
    for rank in found.ranks:
        assert "batches of 1 clips for 2 workers" in rank["too few clips"]


def test_a_process_without_a_clip_to_evaluate_has_the_figures_too(found: Found) -> None:
    model = from_scratch(debug_recipe(), train_together.TARGETS)
    expected = evaluate_clips(model, noisy_clips(1), device="cpu")
    for rank in found.ranks:
        for name, figures in expected.items():
            assert rank["one valid clip"][name] == pytest.approx(asdict(figures))


def test_one_process_goes_on_with_what_two_began(found: Found) -> None:
    state = found.folder / "state"
    assert [rank["stopped"] for rank in found.ranks] == ["stopped"] * 2
    assert [path.name for path in state.iterdir()] == ["training.pt"]
    resumed = outcome(*learn(SingleProcess(), debug_recipe(), journal=FolderJournal(state)))
    assert resumed["losses"][0] == found.ranks[0]["mse+pearson"]["losses"][0]
    assert_alike(alone("mse+pearson"), resumed)
