from __future__ import annotations

from emi_model.errors import CheckpointError, ClusterError
from tasks.scoring.ledger import EXTRACT, SCORE, Ledger, Worker


def test_clips_are_held_by_the_workers_of_a_stage() -> None:
    ledger = Ledger()
    ledger.take(Worker(EXTRACT, "a"), ["1", "2"])
    ledger.take(Worker(SCORE, "b"), ["3"])
    ledger.take(Worker(SCORE, "c"), ["4"])
    ledger.give(Worker(SCORE, "c"))
    ledger.give(Worker(SCORE, "never seen"))
    assert ledger.clips_of(EXTRACT) == ["1", "2"]
    assert ledger.clips_of(SCORE) == ["3"]
    assert sorted(ledger.clips_of(None)) == ["1", "2", "3"]
    ledger.take(Worker(EXTRACT, "a"), ["5"])
    assert ledger.clips_of(EXTRACT) == ["5"]


def test_the_first_refusal_is_kept() -> None:
    ledger = Ledger()
    assert ledger.refusal() is None
    first = CheckpointError("node 1: no model")
    ledger.refuse(first)
    ledger.refuse(ClusterError("node 2: another version"))
    assert ledger.refusal() is first
