"""`emi bench` with the whole job: measured, and interrupted, it leaves nothing."""

import json
import signal

import pytest


@pytest.fixture
def places(tmp_path, served):
    """A temporary folder of this test alone, which Ray's own files stay out of, and a server."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder, {**served, "TMPDIR": str(folder), "RAY_TMPDIR": str(tmp_path.parents[2])}


def left(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith("emi-bench-")]


def test_the_whole_job_is_measured(emi, model, places):
    folder, environment = places
    asked = ("bench", "--model", model, "--seconds", "0.2", "--clips", "48", "--json")
    code, out, err = emi(*asked, **environment)
    assert code == 0, err
    found = json.loads(out)
    job = found["whole_job"]
    assert job["num_clips"] == 48
    assert job["first_rows_seconds"] <= job["seconds"]
    assert job["pipeline_cost"] > 1
    assert job["share_of_peak"] > 0
    assert "scoring" in err
    assert left(folder) == []


def test_interrupted_it_leaves_nothing(launch, model, places):
    folder, environment = places
    running = launch("bench", "--model", model, "--seconds", "0.1", "--clips", "64", **environment)
    for line in running.stderr:
        if line.startswith("starting workers"):
            break
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130
    assert err.strip().splitlines()[-1] == "emi: interrupted: nothing is kept"
    assert left(folder) == []
