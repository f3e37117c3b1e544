from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emi_model.errors import ConfigError
from tasks.budget import Budget, available_cores, machine_budget


@pytest.mark.parametrize(
    ("workers", "cores", "gpus", "budget"),
    [
        (None, 1, 0, Budget(1, 1, 1, 1, 0.0)),
        (None, 2, 0, Budget(2, 1, 2, 2, 0.0)),
        (None, 16, 0, Budget(16, 1, 16, 4, 0.0)),
        (4, 16, 0, Budget(16, 4, 4, 4, 0.0)),
        (3, 8, 0, Budget(8, 3, 2, 2, 0.0)),
        (8, 2, 0, Budget(2, 8, 1, 2, 0.0)),
        (None, 16, 1, Budget(16, 1, 1, 15, 1.0)),
        (None, 32, 4, Budget(32, 4, 1, 28, 1.0)),
        (2, 16, 1, Budget(16, 2, 1, 14, 0.5)),
        (4, 2, 2, Budget(2, 4, 1, 1, 0.5)),
    ],
)
def test_shares(workers: int | None, cores: int, gpus: int, budget: Budget) -> None:
    assert machine_budget(workers, cores=cores, gpus=gpus) == budget


@settings(derandomize=True, database=None)
@given(st.none() | st.integers(1, 300), st.integers(1, 300), st.integers(0, 16))
def test_every_stage_gets_something_and_no_stage_too_much(
    workers: int | None, cores: int, gpus: int
) -> None:
    budget = machine_budget(workers, cores=cores, gpus=gpus)
    assert min(budget.scorers, budget.threads_per_scorer, budget.decoders) >= 1
    assert budget.scorers == (workers or max(1, gpus))
    assert budget.scorers * budget.gpus_per_scorer == pytest.approx(gpus)
    if not gpus:
        assert budget.scorers * budget.threads_per_scorer <= max(cores, budget.scorers)
    assert budget.decoders <= cores


@pytest.mark.parametrize("workers", [0, -1])
@pytest.mark.parametrize("gpus", [0, 2])
def test_fewer_than_one_worker(workers: int, gpus: int) -> None:
    with pytest.raises(ConfigError, match=f"workers is {workers}, expected 1 or more"):
        machine_budget(workers, gpus=gpus)


def test_cores_of_this_process() -> None:
    cores = available_cores()
    assert 1 <= cores <= (os.cpu_count() or cores)
    assert machine_budget() == machine_budget(1, cores=cores)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux binds processes")
def test_cores_that_were_taken_away_do_not_count() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
