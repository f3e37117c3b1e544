"""Whatever ends a run, what is committed stays, and the same command goes on from there."""

import signal
import time

import psutil
import pytest

from tasks.query import answer
from tests.integration.conftest import table


def wait_for(condition, seconds=120.0):
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def descendants(process):
    return psutil.Process(process.pid).children(recursive=True)


def parts(results):
    return [path for path in (results / "scores").glob("*.parquet") if path.stem != "empty"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, launch, corpus, model):
    """The table of a run that nothing disturbed, and what a second run beside it was told."""
    results = tmp_path_factory.mktemp("undisturbed") / "results"
    arguments = ("process", corpus, "--results", results, "--model", model)
    first = launch(*arguments)
    wait_for(lambda: any((results / "runs").glob("2*.parquet")))
    second = launch(*arguments)
    said = second.communicate(timeout=240)[1]
    _, err = first.communicate(timeout=240)
    assert first.returncode == 0, err
    return table(results), (second.returncode, said)


def test_kill_9_loses_nothing_that_was_committed(
    emi, launch, model, corpus, tmp_path, slow_ffmpeg, undisturbed
):
    results = tmp_path / "results"
    arguments = ("process", corpus, "--results", results, "--model", model)
    moments = {
        "the store is there": lambda: (results / "runs" / "empty.parquet").exists(),
        "Ray has workers": lambda: any("ray::" in p.name() for p in descendants(process)),
        "rows are committed": lambda: bool(parts(results)),
    }
    for name, moment in moments.items():
        process = launch(*arguments, EMI_FFMPEG=slow_ffmpeg)
        wait_for(moment)
        left = descendants(process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        gone, alive = psutil.wait_procs(left, timeout=20)
        assert alive == [], f"left behind when killed as {name}"
        assert gone or name == "the store is there"  # so early it may have no children yet

    code, _, err = emi(*arguments)
    assert code == 0, err
    assert table(results) == undisturbed[0]
    states = answer(results, "SELECT state FROM runs ORDER BY started_at").to_pylist()
    assert states[-1]["state"] == "completed"
    assert {row["state"] for row in states[:-1]} <= {"killed"}


def test_ctrl_c_ends_in_order(launch, model, corpus, tmp_path, slow_ffmpeg):
    results = tmp_path / "results"
    arguments = ("process", corpus, "--results", results, "--model", model)
    process = launch(*arguments, EMI_FFMPEG=slow_ffmpeg)
    wait_for(lambda: bool(parts(results)))
    left = descendants(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in err.splitlines()[-1]
    assert out == ""
    assert psutil.wait_procs(left, timeout=20)[1] == []
    (run,) = answer(results, "SELECT state, num_scored + num_rejected AS n FROM runs").to_pylist()
    assert run["state"] == "interrupted"
    assert answer(results, "SELECT count(*) AS n FROM scores").to_pylist() == [{"n": run["n"]}]


def test_two_runs_do_not_write_at_once(undisturbed):
    _, (code, err) = undisturbed
    assert code == 2
    assert "another run is writing here" in err
