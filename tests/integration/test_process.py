"""`emi process` from a folder to committed rows, and what it says on the way."""

import json
import shutil

import duckdb
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tasks.store.query import answer
from tests.integration.conftest import table
from tests.pseudo_terminal import without_slow_start

BROKEN = {
    "empty.mp4": "unreadable",
    "notes.mp4": "unreadable",
    "cut_off.mp4": "unreadable",
    "playlist.mp4": "refused",
    "silent_film.mp4": "no_audio_track",
    "blink.mp4": "too_short",
}


def test_a_folder_becomes_a_table(emi, corpus, processed, served):
    results, record = processed.results, processed.record
    counts = {name: record[f"num_{name}"] for name in ("listed", "scored", "rejected", "skipped")}
    assert counts == {"listed": 54, "scored": 48, "rejected": 6, "skipped": 0}
    assert record["state"] == "completed"
    assert record["audio_hours_per_hour"] > 0
    assert 0 <= record["padding_share"] < 0.2
    assert {"emi", "torch", "ffmpeg"} <= record["versions"].keys()
    assert "prefect" not in without_slow_start(processed.err).lower()
    assert any("Beginning flow run" in log.read_text() for log in (results / "logs").iterdir())

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
    arguments = ("process", corpus, "--results", results, *processed.options, "--strict")
    code, out, err = emi(*arguments, **served)
    assert code == 0, err
    assert "prefect" not in without_slow_start(err).lower()
    assert "0 scored, 0 rejected, 54 skipped" in out
    assert table(results) == before


def test_new_renamed_and_changed_clips(emi, corpus, processed, served, tmp_path):
    source = shutil.copytree(corpus, tmp_path / "source")
    results = shutil.copytree(processed.results, tmp_path / "results")
    first, second, *_, last = sorted(clip.relative_to(source) for clip in source.rglob("clip_*"))
    (source / first).rename(source / "renamed.mp4")
    shutil.copy(corpus / last, source / second)
    with (source / second).open("ab") as changed:
        changed.write(b"\0")
    (source / "new.mp4").write_bytes(b"no media")
    arguments = ("process", source, "--results", results, *processed.options)
    code, out, err = emi(*arguments, "--strict", "--json", **served)
    assert code == 3, err
    record = json.loads(out)
    assert record["num_adopted"] == 1
    assert (record["num_scored"], record["num_rejected"], record["num_skipped"]) == (2, 1, 52)
    rows = {row["clip_id"]: row for row in answer(results, "SELECT * FROM scores").to_pylist()}
    listed = {row["clip_id"] for row in table(processed.results)}
    assert rows.keys() == listed | {"renamed.mp4", "new.mp4"}
    assert rows["renamed.mp4"]["joy"] == rows[str(first)]["joy"]
    # scored in another block, where another number of threads may add up in another order
    assert rows[str(second)]["joy"] == pytest.approx(rows[str(last)]["joy"], abs=1e-6)
    timelines = answer(results, "SELECT DISTINCT clip_id FROM timeline").to_pylist()
    scored = {clip_id for clip_id, row in rows.items() if row["status"] == "scored"}
    assert {row["clip_id"] for row in timelines} == scored


def test_weights_that_do_not_fit_are_refused_in_one_line(emi, corpus, model, served, tmp_path):
    """Only scorers load them: what they find ends the run as if it had been found at once."""
    damaged, results = tmp_path / "damaged", tmp_path / "results"
    shutil.copytree(model, damaged)
    file = damaged / "model.safetensors"
    with safe_open(file, framework="pt") as content:
        metadata = content.metadata()
    state = load_file(file)
    del state["fusion.layers.0.bias"]
    save_file(state, file, metadata=metadata)
    code, out, err = emi("process", corpus, "--results", results, "--model", damaged, **served)
    assert (code, out) == (2, "")
    said = err.splitlines()[-1]
    assert said.startswith(f"emi: {damaged}: 1 weights missing")
    assert "fusion.layers.0.bias" in said
    (run,) = answer(results, "SELECT state, message FROM runs").to_pylist()
    assert (run["state"], f"emi: {run['message']}") == ("failed", said)
