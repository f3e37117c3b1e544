"""`emi forget`: what it says, what it asks, what it leaves."""

import json

import pytest

from tasks.forgetting.forget import plan_forgetting
from tasks.forgetting.journal import Amount, UnderWay
from tasks.store.query import answer
from tasks.store.store import create_store
from tests.tasks.forgetting.forgettable import ANNA, BEN, label


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store with labels of two clips, on a machine without a registry."""
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    made = create_store(tmp_path / "store")
    label(made, ANNA, BEN, "ben/copy.mp4", "ben/original.mp4")
    return made


def left(store):
    return answer(store.location, "FROM labels ORDER BY clip_id")["clip_id"].to_pylist()


def test_it_is_shown_first_and_then_done(emi, store):
    where = ("--results", store.location)
    code, out, err = emi("forget", *where, "--clip", "anna/*", "--dry-run")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "would forget 1 clip"
    assert lines[1].endswith("store: 1 of labels")
    assert lines[2] == "  0 cached files, 0 logs and reports that name them"
    assert ANNA in left(store)
    code, out, err = emi("forget", *where, "--clip", "anna/*")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "forgets 1 clip"
    assert out.splitlines()[-1] == "done: `forgotten` has a row of it"
    assert ANNA not in left(store)


def test_json_has_all_of_it(emi, store):
    arguments = ("--results", store.location, "--clip", "ben/copy.mp4", "--json")
    code, out, err = emi("forget", *arguments)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["dry_run"], found["clips"], found["models"]) == (False, ["ben/copy.mp4"], [])
    assert found["same_content"] == ["ben/original.mp4"]
    assert found["num_rows"] == {str(store.folder.root): {"labels": 1}}
    assert left(store) == [ANNA, BEN, "ben/original.mp4"]


def test_a_name_that_fits_nothing(emi, store):
    code, out, err = emi("forget", "--results", store.location, "--speaker", "ana")
    assert (code, out) == (2, "")
    assert "no clip is of 'ana'" in err
    assert "did you mean anna?" in err
    for wrong in ((), ("--clip", "a", "--speaker", "b")):
        code, _, err = emi("forget", "--results", store.location, *wrong)
        assert code == 2
        assert "either --clip PATTERN or --speaker NAME" in err


def test_at_a_terminal_it_asks(emi, store, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    code, _, _ = emi("forget", "--results", store.location, "--clip", ANNA)
    assert code != 0
    assert ANNA in left(store)
    code, out, err = emi("forget", "--results", store.location, "--clip", ANNA, "--json")
    assert code != 0
    assert out == ""
    assert err.startswith("forgets 1 clip\n")
    assert ANNA in left(store)
    code, _, _ = emi("forget", "--results", store.location, "--clip", ANNA, "--yes")
    assert code == 0
    assert ANNA not in left(store)


def test_what_was_begun_is_finished_first(emi, store):
    wanted, _ = plan_forgetting(store.location, ANNA, None)
    UnderWay("killed", wanted, Amount({str(store.folder.root): {"labels": 1}})).write(store)
    code, out, err = emi("forget", "--results", store.location, "--clip", ANNA)
    assert (code, out) == (0, "")
    assert err == "finished what an earlier call had begun\n"
    assert ANNA not in left(store)
    assert answer(store.location, "FROM forgotten")["forgetting_id"].to_pylist() == ["killed"]
