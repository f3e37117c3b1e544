"""`emi process` from a folder to committed rows, and what it says on the way."""

import json
import shutil

import duckdb

from tasks.query import answer
from tests.integration.conftest import table

BROKEN = {
    "empty.mp4": "unreadable",
    "notes.mp4": "unreadable",
    "cut_off.mp4": "unreadable",
    "playlist.mp4": "refused",
    "silent_film.mp4": "no_audio_track",
    "blink.mp4": "too_short",
}


def test_a_folder_becomes_a_table(emi, model, corpus, tmp_path):
    results = tmp_path / "results"
    code, out, err = emi(
        "process", corpus, "--results", results, "--model", model, "--coverage", "full", "--json"
    )
    assert code == 0, err
    (record,) = map(json.loads, out.splitlines())
    counts = {name: record[f"num_{name}"] for name in ("listed", "scored", "rejected", "skipped")}
    assert counts == {"listed": 54, "scored": 48, "rejected": 6, "skipped": 0}
    assert record["state"] == "completed"
    assert record["audio_hours_per_hour"] > 0
    assert 0 <= record["padding_share"] < 0.2
    assert {"emi", "torch", "ffmpeg"} <= record["versions"].keys()
    assert "prefect" not in err.lower()
    assert any(
        "Prefect" in log.read_text() or "ray" in log.read_text().lower()
        for log in (results / "logs").iterdir()
    )

    reasons = answer(results, "SELECT clip_id, reason FROM rejections").to_pylist()
    assert {row["clip_id"].rpartition("/")[2]: row["reason"] for row in reasons} == BROKEN

    (windows,) = answer(
        results,
        "SELECT max(abs(s.joy - w.joy)) AS off, count(*) AS clips FROM scores s JOIN ("
        "  SELECT clip_id, sum(joy * (end_seconds - start_seconds)) / "
        "  sum(end_seconds - start_seconds) AS joy FROM windows GROUP BY clip_id"
        ") w USING (clip_id)",
    ).to_pylist()
    assert windows["clips"] == 48
    assert windows["off"] < 1e-5

    with duckdb.connect() as plain:
        plain.execute((results / "catalog.sql").read_text())
        assert plain.execute("SELECT count(*) FROM scores").fetchone() == (54,)

    before = table(results)
    code, out, err = emi(
        "process", corpus, "--results", results, "--model", model, "--coverage", "full", "--strict"
    )
    assert code == 0, err
    assert "0 scored, 0 rejected, 54 skipped" in out
    assert table(results) == before


def test_new_renamed_and_changed_clips(emi, model, corpus, tmp_path):
    source, results = tmp_path / "source", tmp_path / "results"
    clips = sorted(corpus.glob("*/clip_*.mp4"))[:3]
    source.mkdir()
    for name, clip in zip(("a.mp4", "b.mp4"), clips, strict=False):
        shutil.copy(clip, source / name)
    assert emi("process", source, "--results", results, "--model", model)[0] == 0

    (source / "a.mp4").rename(source / "renamed.mp4")
    shutil.copy(clips[2], source / "b.mp4")
    (source / "new.mp4").write_bytes(b"no media")
    code, out, err = emi(
        "process", source, "--results", results, "--model", model, "--strict", "--json"
    )
    assert code == 3, err
    record = json.loads(out)
    assert record["num_adopted"] == 1
    assert (record["num_scored"], record["num_rejected"], record["num_skipped"]) == (2, 1, 0)
    rows = {row["clip_id"]: row for row in answer(results, "SELECT * FROM scores").to_pylist()}
    assert rows.keys() == {"a.mp4", "b.mp4", "renamed.mp4", "new.mp4"}
    assert rows["renamed.mp4"]["joy"] == rows["a.mp4"]["joy"]
    timelines = answer(results, "SELECT DISTINCT clip_id FROM timeline").to_pylist()
    assert {row["clip_id"] for row in timelines} == {"a.mp4", "b.mp4", "renamed.mp4"}


def test_what_cannot_be_done_is_one_line(emi, model, corpus, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("nothing to hear")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.doc").write_text("mine")
    results = tmp_path / "results"
    cases = {
        "no media file": ("process", empty, "--results", results, "--model", model),
        "no such folder": ("process", tmp_path / "gone", "--results", results, "--model", model),
        "no model named": ("process", corpus, "--results", results),
        "not a model folder": ("process", corpus, "--results", results, "--model", empty),
        "holds other files": ("process", corpus, "--results", foreign, "--model", model),
        "no results store": ("query", "SELECT 1", "--results", empty),
    }
    for expected, arguments in cases.items():
        code, out, err = emi(*arguments, EMI_MODEL="")
        assert (code, out) == (2, ""), (expected, out, err)
        assert expected in err
        assert len(err.strip().splitlines()) == 1
    assert not results.exists()
    assert [path.name for path in foreign.iterdir()] == ["thesis.doc"]
