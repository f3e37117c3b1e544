"""`emi report`, called as a shell would."""

import json

import pytest

from tasks.store.store import create_store


@pytest.fixture
def store(tmp_path, monkeypatch):
    folder = tmp_path / "store"
    create_store(folder)
    monkeypatch.setenv("EMI_RESULTS", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_page_where_the_command_was_given(emi, store, tmp_path):
    code, out, err = emi("report", "--title", "Ours & theirs")
    assert code == 0, err
    assert "<title>Ours &amp; theirs</title>" in (tmp_path / "report.html").read_text()
    lines = out.splitlines()
    assert lines[-1].startswith("report.html: 0 clips, 0.")
    assert "not in it: No clip has scores yet: emi process" in lines[0]


def test_as_json(emi, store, tmp_path):
    code, out, _ = emi("report", "--out", "a.htm", "--json")
    found = json.loads(out)
    assert (code, found["report"], found["clips"]) == (0, "a.htm", 0)
    assert found["bytes"] == (tmp_path / "a.htm").stat().st_size
    assert any("emi labels add" in sentence for sentence in found["missing"])


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["--out", "report.pdf"], "found suffix '.pdf', expected .html"),
        (["--players", "2"], "--players 2 needs --corpus DIR"),
        (["--players", "-1"], "is not in the range"),
        (["--corpus", "none"], "none: no such folder or file"),
        (["--corpus", ".", "--players", "9"], "found 9 players, expected 0 to 5"),
        (["--results", "elsewhere"], "elsewhere"),
    ],
)
def test_what_is_refused(emi, store, tmp_path, options, cause):
    code, out, err = emi("report", *options)
    assert (code, out) == (2, "")
    assert cause in err
    assert list(tmp_path.glob("*.html")) == []
