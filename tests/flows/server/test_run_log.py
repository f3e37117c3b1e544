"""Outside of a flow run; tests/integration/test_deployments.py shows what a run's UI holds."""

import logging

from prefect import flow

from flows.exclusive import exclusive
from flows.server.run_log import StageLog, outcome, stage, with_outcome
from tasks.progress import observer


@flow(name="counting", persist_result=False)
@exclusive
def counting(upto: int) -> dict[str, int]:
    observer().begin("counting", upto, "numbers")
    found = stage("add up", sum, range(upto + 1))
    outcome(f"the sum is {found}")
    return {"sum": found}


def test_outside_of_a_run_a_stage_is_a_call_and_an_outcome_a_log_line(caplog):
    with caplog.at_level(logging.INFO):
        assert counting.fn(4) == {"sum": 10}
    assert "the sum is 10" in caplog.text
    assert with_outcome("as it is") == "as it is"


def test_stages_are_lines_with_their_size():
    lines = []
    log = StageLog(lines.append)
    log.begin("scoring", 54, "clips")
    log.begin("drawing", None, "")
    log.note("passed over: 2 .txt")
    assert lines == ["scoring: 54 clips", "drawing", "passed over: 2 .txt"]
