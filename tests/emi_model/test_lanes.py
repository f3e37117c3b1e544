"""Clips that are scored in several threads get the scores that they get in one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.lanes import Lanes, equal_parts
from emi_model.predict import Predictor, Scores
from emi_model.training.recipes import demo

CLIPS = [
    np.random.default_rng(0).normal(0, 0.1, length).astype(np.float32)
    for length in (16_000, 4_000, 23_456, 400, 48_000)
]


@pytest.fixture
def predictor() -> Iterator[Predictor]:
    """Return a predictor with three lanes."""
    predictor = Predictor(EmiModel(demo().model), device="cpu", precision="fp32")
    predictor.lanes = Lanes(3, 1)
    yield predictor
    predictor.lanes.close()


@given(st.lists(st.integers(0, 200_000), max_size=70), st.integers(1, 9))
def test_parts_hold_every_item_once_and_are_about_equal(sizes: list[int], number: int) -> None:
    parts = equal_parts(sizes, number)
    assert sorted(index for part in parts for index in part) == list(range(len(sizes)))
    assert len(parts) == min(number, len(sizes))
    assert all(parts)
    filled = [sum(sizes[index] for index in part) for part in parts]
    if sizes:
        assert max(filled) - min(filled) <= max(sizes)


def test_each_lane_has_threads_of_its_own_and_the_caller_keeps_his() -> None:
    before, together = torch.get_num_threads(), threading.Barrier(2, timeout=20)

    def work(item: int) -> tuple[int, int]:
        together.wait()  # both are at work at the same time
        return item, torch.get_num_threads()

    lanes = Lanes(2, 1)
    assert lanes.each(work, [3, 4]) == [(3, 1), (4, 1)]
    assert lanes.each(work, []) == []
    lanes.close()
    assert torch.get_num_threads() == before


def in_new_thread(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def test_threads_of_others_keep_their_number() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        lanes = in_new_thread(lambda: [Lanes(2, 1), torch.get_num_threads()])
        assert lanes[1] == 3, "the thread that made them, new to PyTorch"
        assert in_new_thread(torch.get_num_threads) == 3, "one that comes later"
        assert lanes[0].each(lambda _: torch.get_num_threads(), [0, 1]) == [1, 1]
        lanes[0].close()
    finally:
        torch.set_num_threads(before)


def test_threads_end_when_nobody_has_them() -> None:
    known = set(threading.enumerate())
    lanes = Lanes(3, 1)
    own = set(threading.enumerate()) - known
    assert len(own) == 3
    del lanes
    for thread in own:
        thread.join(20)
    assert not any(thread.is_alive() for thread in own)


def test_what_another_lanes_memory_kept_from_being_scored_is_scored_alone(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = predictor._forward

    def forward(inputs: Sequence[Any]) -> list[Scores]:
        if threading.current_thread().name.startswith("emi-lane"):
            raise torch.OutOfMemoryError("another lane has it")
        return plain(inputs)

    monkeypatch.setattr(predictor, "_forward", forward)
    assert all(isinstance(one, Scores) for one in predictor(CLIPS))


def test_fewer_clips_than_lanes_are_scored_by_the_caller_with_all_its_threads(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    used, plain = set(), predictor._forward

    def forward(inputs: Sequence[Any]) -> list[Scores]:
        used.add(threading.current_thread())
        return plain(inputs)

    monkeypatch.setattr(predictor, "_forward", forward)
    predictor(CLIPS[:2])
    assert used == {threading.current_thread()}
    predictor(CLIPS[:3])
    assert len(used) > 1


def test_an_error_in_a_lane_is_raised_once_all_are_done() -> None:
    done = []

    def work(item: int) -> None:
        if not item:
            raise ValueError("no item")
        done.append(item)

    lanes = Lanes(2, 1)
    with pytest.raises(ValueError, match="no item"):
        lanes.each(work, [1, 0, 2, 3])
    assert sorted(done) == [1, 2, 3]
    lanes.close()


@pytest.mark.parametrize("lanes", [2, 3])
@pytest.mark.parametrize("families", ["usual", "as it is"])
def test_scores_do_not_depend_on_the_number_of_lanes(lanes: int, families: str) -> None:
    torch.manual_seed(0)
    config: EmiConfig = demo().model
    if families == "as it is":
        config = replace(config, backbone={**config.backbone, "feat_extract_norm": "group"})
    predictor = Predictor(EmiModel(config), device="cpu", precision="fp32")
    wanted, padding = predictor(CLIPS), predictor.padding
    predictor.lanes = Lanes(lanes, 1)
    found = predictor(CLIPS)
    for one, other in zip(found, wanted, strict=True):
        assert isinstance(one, Scores)
        assert isinstance(other, Scores)
        for name in ("emi", "vad_mean", "frame_vad", "global_vector"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-5)
    own = sum(map(len, CLIPS))
    assert predictor.padding[0] == padding[0] + own == 2 * own
    assert predictor([]) == []
    predictor.lanes.close()
