from __future__ import annotations

from emi_model.errors import CheckpointError, ClusterError
from tasks.scoring.stages.ledger import EXTRACT, SCORE, Ledger, Worker


def test_clips_are_held_by_the_workers_of_a_stage() -> None:
    ledger = Ledger()
    ledger.take(Worker(EXTRACT, "a"), ["1", "2"])
    ledger.take(Worker(SCORE, "b"), ["3"])
    ledger.take(Worker(SCORE, "c"), ["4"])
    ledger.give(Worker(SCORE, "c"))
    ledger.give(Worker(SCORE, "never seen"))
    assert ledger.clips_of([EXTRACT]) == ["1", "2"]
    assert ledger.clips_of([SCORE]) == ["3"]
    assert sorted(ledger.clips_of([EXTRACT, SCORE])) == ["1", "2", "3"]
    ledger.take(Worker(EXTRACT, "a"), ["5"])
    assert ledger.clips_of([EXTRACT]) == ["5"]


def test_the_first_refusal_is_kept() -> None:
    ledger = Ledger()
    assert ledger.refusal() is None
    first = CheckpointError("node 1: no model")
    ledger.refuse(first)
    ledger.refuse(ClusterError("node 2: another version"))
    assert ledger.refusal() is first


def test_an_actor_belongs_to_a_stage() -> None:
    ledger = Ledger()
    ledger.enlist("transcribe", "01", "one")
    ledger.enlist(SCORE, "02", "two")
    ledger.enlist(SCORE, "02", "two")  # it was started again
    assert ledger.actors() == ["one", "two"]
    assert [ledger.stage_of(actor) for actor in ("01", "02", "03", None)] == [
        *("transcribe", SCORE),
        *(None, None),
    ]


def test_clips_that_raise_an_error_are_accused_and_no_others() -> None:
    ledger = Ledger()
    ledger.take(Worker(SCORE, "a"), ["1", "2"])
    ledger.take(Worker(EXTRACT, "b"), ["3"])
    assert ledger.accused() == []
    ledger.accuse(Worker(SCORE, "a"))
    ledger.accuse(Worker(SCORE, "without clips"))
    assert ledger.accused() == ["1", "2"]
    assert ledger.clips_of([SCORE, EXTRACT]) == ["3"]
