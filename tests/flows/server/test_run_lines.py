"""The lines of `emi up`: one a run, when it has ended."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort

from flows.server import run_lines
from flows.server.run_lines import MAX_LINE_CHARS, RunLines, line_of

PAGE = 3
"""How many runs this server returns at most; a real one 200."""


def a_run(message="40 scored,\n  6 rejected", name="clips with emi/1"):
    return FlowRun(
        id=uuid4(),
        flow_id=uuid4(),
        name=name,
        state=State(type=StateType.COMPLETED, name="Completed", message=message),
        state_name="Completed",
        end_time=datetime.now(UTC),
        total_run_time=timedelta(seconds=35),
    )


def test_a_run_is_one_line():
    run = a_run()
    time = f"{run.end_time.astimezone():%H:%M}"
    assert line_of(run) == f"{time} clips with emi/1: completed, 35 s: 40 scored, 6 rejected"
    assert len(line_of(a_run("x" * 500))) == MAX_LINE_CHARS
    assert line_of(a_run(None)).endswith("completed, 35 s")


@pytest.fixture
def server(monkeypatch):
    """A client of a server with these runs, which are in the order in which they were scheduled.

    An error in their place is raised.
    """

    class Client:
        def __init__(self):
            self.runs = []

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read_flow_runs(self, *, flow_run_filter, sort=FlowRunSort.ID_DESC):
            assert flow_run_filter.end_time.after_ is not None
            if isinstance(self.runs, Exception):
                raise self.runs
            ended = sorted(self.runs, key=lambda run: run.end_time, reverse=True)
            return (ended if sort == FlowRunSort.END_TIME_DESC else self.runs[::-1])[:PAGE]

    client = Client()
    monkeypatch.setattr(run_lines, "get_client", lambda sync_client: client)
    return client


def test_each_run_is_shown_once(server):
    lines = RunLines()
    assert lines.new() == []
    server.runs = [a_run(name="first")]
    (line,) = lines.new()
    assert "first" in line
    server.runs = [*server.runs, a_run(name="second")]
    (line,) = lines.new()
    assert "second" in line


def test_a_run_that_was_scheduled_long_ago_is_shown_too(server):
    lines, nightly, watches = RunLines(), a_run(name="nightly"), [a_run() for _ in range(PAGE)]
    server.runs = watches
    assert len(lines.new()) == PAGE
    nightly.end_time = datetime.now(UTC)
    server.runs = [nightly, *watches]
    (line,) = lines.new()
    assert "nightly" in line


def test_a_server_that_does_not_answer_is_no_error_here(server):
    server.runs = httpx.ConnectError("refused")
    assert RunLines().new() == []
