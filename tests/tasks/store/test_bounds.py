"""A question ends at its share of memory, and by Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from emi_model.errors import QueryError
from tasks.store.bounds import machine_bytes
from tasks.store.query import answer
from tasks.store.store import ResultsStore

ENDLESS = "SELECT count(*) AS n FROM range(1000000000000) WHERE hash(range) = 1"


def test_the_memory_is_at_most_the_machines() -> None:
    assert 2**28 < machine_bytes() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("SELECT range FROM range(300_000_000) ORDER BY random()", "the question"),
        ("SELECT list(range) AS all FROM range(50_000_000)", "the question"),
        ("SELECT repeat('x', 1000) AS x FROM range(1_000_000)", "the answer"),
    ],
)
def test_what_takes_too_much_is_refused(
    sql: str, what: str, store: ResultsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.store.bounds.machine_bytes", lambda: 2**28)
    expected = rf"^{what} takes more than 0\.1 GiB, 25% of this machine's memory: ask for fewer"
    with pytest.raises(QueryError, match=expected):
        answer(store.location, sql)
    assert list(Path().glob(".tmp")) == []  # nor does it go to the disk


def test_an_error_in_the_middle_of_an_answer(store: ResultsStore) -> None:
    sql = "SELECT CASE WHEN range = 900000 THEN 'x' ELSE '1' END::INT AS n FROM range(1000000)"
    with pytest.raises(QueryError, match="Could not convert string 'x' to INT32"):
        answer(store.location, sql)
    assert answer(store.location, "SELECT 1 AS n").to_pylist() == [{"n": 1}]


def test_ctrl_c_ends_it_at_once(store: ResultsStore) -> None:
    moments = []

    def interrupt() -> None:
        moments.append(time.process_time())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.5, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        answer(store.location, ENDLESS)
    assert time.process_time() - moments[0] < 2  # a second of two cores, however busy they are
    timer.join()


def test_no_progress_bar_stands_between_the_rows(store: ResultsStore) -> None:
    sql = "SELECT current_setting('enable_progress_bar')::VARCHAR AS shown"
    assert answer(store.location, sql).to_pylist() == [{"shown": "false"}]
