from __future__ import annotations

import io

import pytest

from flows.display.training import MAX_MISSING, show_decision, show_training
from tests.flows.outcomes import DECISION, TRAINING


def training(**changes: object) -> str:
    out = io.StringIO()
    show_training({**TRAINING, **changes}, out)
    return out.getvalue()


def decision(**changes: object) -> str:
    out = io.StringIO()
    show_decision({**DECISION, **changes}, out)
    return out.getvalue()


def test_a_training_says_what_came_of_it() -> None:
    said = training()
    assert "models:/emi/3: 80 clips to train, 40 to validate" in said
    assert "epoch 7 of 30, 61 s of training" in said
    assert "0.612 (95 % interval 0.500 to undefined)" in said
    assert "make it champion: emi models promote models:/emi/3" in said
    assert "left out" not in said


def test_a_champion_is_not_told_to_be_promoted_and_a_known_one_not_to_be_trained() -> None:
    said = training(aliases=["champion"], trained_before=True, epoch=None, seconds=None)
    assert "promote" not in said
    assert "trained before: nothing was done" in said


@pytest.mark.parametrize(("count", "more"), [(2, 0), (MAX_MISSING + 3, 3)])
def test_missing_clips_are_counted_and_the_first_are_named(count: int, more: int) -> None:
    said = training(missing={f"{n}.mp4": "no audio" for n in range(count)})
    assert f"{count} labelled clips were left out:" in said
    assert said.count(": no audio") == min(count, MAX_MISSING)
    assert (f"and {more} more" in said) == bool(more)


def test_a_decision_gives_both_figures() -> None:
    said = decision()
    assert "promoted: better: by far" in said
    assert "champion before: version 2, mean Pearson 0.400" in said
    assert "challenger: version 3, mean Pearson undefined, on 40 clips" in said
    assert "not promoted: better" in decision(promoted=False)
    assert "champion before: none" in decision(champion=None)
    assert "models promote" not in said + decision(promoted=False)


def test_nothing_new_is_said_and_nothing_else() -> None:
    said = decision(challenger=None, promoted=False, reason="nothing new: as it was")
    assert said.endswith("nothing new: as it was\n")
    assert "challenger" not in said
