"""`emi ask` and `emi metadata`, as a psychologist calls them: questionnaire, groups, Excel."""

import json

import pytest

from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from tasks.schema.scores import EXTRACTION, VAD_OF_MEAN, scored_schema
from tasks.scoring.commit import RunStamp, tables_of
from tasks.store.store import create_store

NAMES = [*map(column_name, EMI_TARGETS), *VAD_DIMENSIONS]
NUM_SPEAKERS = 10


def row_of(clip_id, joy):
    schema = scored_schema(EMI_TARGETS)
    listed = {"flags": [], "timeline": [], "windows": [], "attributions": []}
    return {
        **dict.fromkeys(schema.names),
        **listed,
        **dict.fromkeys([*NAMES, *VAD_OF_MEAN], 0.5),
        **dict.fromkeys(["clip_id", "uri", "content_sha256"], clip_id),
        "status": "scored",
        "joy": joy,
        "extraction": EXTRACTION,
    }


@pytest.fixture
def store(tmp_path, monkeypatch):
    import pyarrow as pa

    folder = tmp_path / "store"
    rows = [row_of(f"p{n}/{m}.mp4", 0.3 + 0.02 * n) for n in range(NUM_SPEAKERS) for m in range(2)]
    stamp = RunStamp("tiny", "aa", "first", "run1", "MIT", EMI_TARGETS)
    table = pa.Table.from_pylist(rows, scored_schema(EMI_TARGETS))
    create_store(folder).commit("part", tables_of(table, stamp))
    lines = [f"p{n};{'after' if n > 4 else 'before'};{20 + n}\n" for n in range(NUM_SPEAKERS)]
    (tmp_path / "study.csv").write_text("participant;condition;Age\n" + "".join(lines))
    monkeypatch.setenv("EMI_RESULTS", str(folder))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    return folder


def test_from_a_questionnaire_to_a_difference(emi, store, tmp_path):
    code, out, _ = emi("metadata", "speakers", "{speaker}/*")
    assert (code, "columns: speaker; 20 of 20 clips have them" in out) == (0, True)
    code, out, _ = emi("metadata", "add", "study.csv", "--key", "speaker=participant")
    assert code == 0
    assert "version 1 of the metadata of speakers: 10 speakers of the file\nseparated by" in out
    assert "columns: condition, age; 20 of 20 clips have them" in out
    code, out, err = emi("ask", "groups", "--by", "condition", "--column", "joy")
    assert code == 0
    assert "joy is higher in after than in before by 0.100 (95% interval 0." in out
    assert "Read it so: mean is that of the group's clips" in out
    assert err == "emi: note: intervals of fewer than 20 speakers are rough: after 5, before 5\n"
    code, out, err = emi("ask", "groups", "--by", "condition", "--format", "json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert {row["table"] for row in rows} == {"means", "differences"}
    code, _, _ = emi("ask", "each_clip", "--where", "age < 22", "--output", "few.csv", "--excel")
    header, *cells = (tmp_path / "few.csv").read_text(encoding="utf-8-sig").splitlines()
    assert (code, len(cells)) == (0, 4)
    assert header.endswith("folder;speaker;condition;age")
    code, out, _ = emi("metadata", "list", "--json")
    assert [json.loads(line)["of"] for line in out.splitlines()] == ["clips", "speakers"]
    assert "study.csv" in emi("metadata", "list")[1]


def test_the_list_needs_no_store(emi, monkeypatch):
    monkeypatch.delenv("EMI_RESULTS", raising=False)
    code, out, _ = emi("ask", "--format", "json")
    known = {row["name"]: row for row in map(json.loads, out.splitlines())}
    assert code == 0
    assert known["top_clips"]["question"] == "Which clips score highest on each emotion?"
    assert "top_clips" in emi("ask")[1]
    code, _, err = emi("ask", "top_clips")
    assert (code, "Missing option '--results'" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["ask", "top_clip"], "no question 'top_clip', did you mean top_clips"),
        (["ask", "groups", "--by", "sex"], "--by sex: no such column"),
        (["ask", "top_clips", "--format", "json", "--excel"], "--excel writes CSV, not json"),
        (["metadata", "add", "none.csv"], "cannot read the metadata none.csv"),
        (["metadata", "add", "study.csv"], "say which column names the speaker"),
    ],
)
def test_what_is_refused(emi, store, arguments, cause):
    code, out, err = emi(*arguments)
    assert (code, out) == (2, "")
    assert cause in err
