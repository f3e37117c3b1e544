"""The number of lanes: tried on the first blocks, kept for the machine and the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emi_model.devices import USUAL_LANES
from tasks.scoring.stages.lane_choice import CANDIDATES, KEPT, ROUNDS, LaneChoice

SECONDS = {1: 1.3, 2: 1.0, 4: 0.8, 8: 0.9}
"""Of a block on a made-up machine, by lanes."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("EMI_HOME", str(folder))
    return folder


def scored(
    choice: LaneChoice,
    blocks: int,
    *,
    seconds: dict[int, float] = SECONDS,
    clips: int = 32,
    rejected: int = 0,
) -> list[int]:
    """Let blocks be scored; returns how many lanes each got."""
    used = []
    for _ in range(blocks):
        number, threads = choice.lanes_for(clips)
        used.append(number)
        assert threads >= 1
        choice.note(clips - rejected, clips * 16_000, seconds[number], lanes=number)
    return used


def test_the_fastest_is_taken_and_kept_for_this_model(home: Path) -> None:
    choice = LaneChoice(8, "model a")
    used = scored(choice, 12)
    assert used == [USUAL_LANES, *CANDIDATES * ROUNDS, 4, 4, 4]
    assert choice.lanes_for(32) == (4, 2)
    again = LaneChoice(8, "model a")
    assert scored(again, 4) == [4] * 4, "nothing is tried again"
    assert LaneChoice(8, "model b").lanes_for(32)[0] == USUAL_LANES
    assert scored(LaneChoice(16, "model a"), 1) == [USUAL_LANES], "another number of threads"
    assert list(json.loads((home / KEPT).read_text()).values()) == [4]


def test_a_little_faster_is_not_enough() -> None:
    choice = LaneChoice(2, "model")
    assert scored(choice, 9, seconds={1: 0.97, 2: 1.0})[-1] == USUAL_LANES


def test_the_first_block_does_not_count() -> None:
    choice = LaneChoice(2, "model")
    choice.note(32, 32 * 16_000, 60.0, lanes=USUAL_LANES)
    assert scored(choice, 5, seconds={1: 1.5, 2: 1.0})[-1] == USUAL_LANES


def test_small_blocks_tell_nothing(home: Path) -> None:
    choice = LaneChoice(4, "model")
    assert scored(choice, 20, clips=3) == [USUAL_LANES] * 20
    assert not (home / KEPT).exists()
    assert scored(choice, 1) == [USUAL_LANES]


def test_what_blocks_are_too_small_for_is_not_tried_for_ever(home: Path) -> None:
    choice = LaneChoice(8, "model")
    used = scored(choice, 30, seconds={1: 0.7, 2: 1.0}, clips=8)
    assert set(used) == {1, 2}, "4 and 8 lanes would have nothing to do"
    assert used[-15:] == [1] * 15
    assert not (home / KEPT).exists(), "larger blocks may tell more"


def test_some_rejections_do_not_keep_a_candidate_from_being_tried(home: Path) -> None:
    slow = {1: 1.3, 2: 1.0, 4: 0.8, 8: 1.5}
    assert scored(LaneChoice(8, "model"), 12, seconds=slow, rejected=3)[-3:] == [4] * 3
    many = scored(LaneChoice(8, "other"), 40, seconds=slow, rejected=20)
    assert many.count(8) <= 3
    assert many[-1] == 4, "12 clips are enough for 4"


def test_one_thread_has_nothing_to_choose(home: Path) -> None:
    choice = LaneChoice(1, "model")
    assert scored(choice, 5) == [1] * 5
    assert not (home / KEPT).exists()


@pytest.mark.parametrize(
    "content", ["", "[1]", '{"model, 2 threads": 7}', '{"model, 2 threads": "x"}']
)
def test_what_is_damaged_is_found_anew(home: Path, content: str) -> None:
    (home / KEPT).write_text(content)
    choice = LaneChoice(2, "model")
    assert scored(choice, 6) == [2, 2, 1, 2, 1, 2]


def test_a_home_that_cannot_be_written_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMI_HOME", "/dev/null/home")
    choice = LaneChoice(2, "model")
    assert scored(choice, 6)[-1] == USUAL_LANES
