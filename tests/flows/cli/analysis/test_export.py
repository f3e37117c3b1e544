"""`emi export`, called as a shell would."""

import json

import pytest

from tasks.exports.registry import FORMS
from tests.tasks.exports.made_store import LICENCE, made_store


@pytest.fixture
def results(tmp_path, monkeypatch):
    made_store(tmp_path / "store")
    monkeypatch.setenv("EMI_RESULTS", str(tmp_path / "store"))


def test_the_forms_are_listed_without_a_store(emi, monkeypatch):
    monkeypatch.delenv("EMI_RESULTS", raising=False)
    code, out, _ = emi("export", "--json")
    forms = [json.loads(line) for line in out.splitlines()]
    assert (code, [form["name"] for form in forms]) == (0, list(FORMS))
    assert all(form["description"].endswith(".") for form in forms)
    code, out, _ = emi("export")
    assert code == 0
    assert all(name in out for name in FORMS)


def test_what_was_left_out_is_said_beside_the_answer(emi, results, tmp_path):
    code, out, err = emi("export", "eaf", "--out", tmp_path / "elan", "--where", "true")
    assert (code, out) == (0, f"5 clips in {tmp_path}/elan\n")
    assert "left out 1 of 6 clips: rejected, so nothing to show over time" in err
    code, out, _ = emi("export", "label-studio", "--out", tmp_path / "t.json", "--json")
    assert code == 0
    assert json.loads(out)["left_out"] == {"rejected, so no scores": 1}
    facts = json.loads((tmp_path / "t.json.provenance.json").read_text())
    assert facts["models"][0]["licence"] == LICENCE


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["eaff", "--out", "x"], "no form 'eaff': did you mean eaf?"),
        (["eaf"], "Missing option '--out'"),
        (["eaf", "--out", "x", "--where", "joi > 1"], "joi"),
        (["eaf", "--out", "x", "--limit", "0"], "--limit"),
    ],
)
def test_what_is_refused(emi, results, arguments, cause):
    code, out, err = emi("export", *arguments)
    assert (code, out) == (2, "")
    assert cause in err
