"""What version 0.1.0 wrote, before the files of this project moved, opens and goes on unchanged.

``tests/golden/0.1.0.tar.xz`` holds a corpus, a results store, a registry with a checkpoint and the
audio cache, made with the commands of that version at commit 4932fa8, and what it answered then:

    emi labels add corpus/labels.csv --store store --corpus corpus
    emi train --labels store --corpus corpus --recipe debug
    emi models promote 1
    emi process corpus --results store --model models:/emi@champion [--coverage full]
    emi evaluate --labels store --corpus corpus --model models:/emi@champion --split valid
"""

import json
import sqlite3
import tarfile
from pathlib import Path

import pytest
import soundfile

from emi_model.training.recipes import recipe_named
from tasks.labels.label_set import load_labels
from tasks.registry.registry import folder_of, list_versions, resolve_model
from tasks.reports.report import make_report
from tasks.schema.scores import EXTRACTION
from tasks.scoring.direct import score_files
from tasks.scoring.run import score_corpus
from tasks.store.query import answer, write
from tasks.training.gathering import load_for_recipe
from tasks.training.new_version import train_version

ARCHIVE = Path(__file__).resolve().parents[1] / "golden" / "0.1.0.tar.xz"
MADE_IN = "/srv/emi"
"""Where the archive's registry believes its files to be."""

MODEL = "models:/emi@champion"
TABLES = {
    "scores": "all_scores",
    "timeline": "all_timeline",
    "windows": "all_windows",
    "rejections": "all_scores WHERE status = 'rejected'",
    **{table: table for table in ("runs", "labels", "evaluations")},
}
"""What it called so, and what holds these rows now: both coverages of a clip."""


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Return a folder with what version 0.1.0 wrote; it is the current folder."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    with sqlite3.connect(tmp_path / "home" / "mlflow.db") as database:
        for table, column in (
            ("experiments", "artifact_location"),
            ("runs", "artifact_uri"),
            ("model_versions", "source"),
            ("model_versions", "storage_location"),
        ):
            moved = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            database.execute(moved, (MADE_IN, str(tmp_path)))
    database.close()
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expected(world, name):
    lines = (world / "expected" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def answered(sql, capsys):
    """Rows as ``emi query --format json`` writes them."""
    write(answer("store", sql), "json")
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def in_order(rows):
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def test_its_store_answers_as_it_did(world, capsys):
    for table, now_in in TABLES.items():
        then = expected(world, table)
        found = answered(f"SELECT * FROM {now_in}", capsys)
        columns = set(then[0]) if then else set()
        now = [{name: row[name] for name in columns} for row in found]
        assert in_order(now) == in_order(then), table
    assert len(expected(world, "scores")) == 18
    assert {row["coverage"] for row in answered("FROM scores", capsys)} == {"full"}
    assert len(answered("FROM scores", capsys)) == 9


def test_its_store_is_read_where_it_cannot_be_written(world, monkeypatch):
    monkeypatch.setattr("tasks.store.writers.DiskWriter.prepare", read_only)
    assert answer("store", "FROM scores").num_rows == 9
    report = make_report("store", corpus="corpus", num_players=1)
    assert (report.num_clips, report.html.count("<audio")) == (9, 2)  # targets noise and tone
    assert not (world / "store" / "missing_clips").exists()


def read_only(*_):
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("coverage", ["first", "full"])
def test_nothing_in_it_is_scored_again(world, coverage):
    row = score_corpus("corpus", "store", MODEL, coverage=coverage)
    assert (row["state"], row["num_skipped"], row["num_listed"]) == ("completed", 9, 9)
    assert row["num_scored"] == row["num_rejected"] == 0


def test_its_checkpoint_scores_as_it_did(world):
    rows, _ = score_files(["corpus/000.wav", "corpus/001.wav"], MODEL)
    for now, then in zip(rows, expected(world, "score"), strict=True):
        for name in ("noise", "tone", "arousal", "dominance", "valence"):
            assert now[name] == pytest.approx(then[name], abs=1e-5)


def test_its_registry_and_its_cache_go_on(world):
    (version,) = list_versions("emi")
    (then,) = expected(world, "models")
    assert (version.reference, version.sha256) == ("models:/emi/1", then["sha256"])
    assert resolve_model(MODEL) == str(folder_of(version))
    cached = {path: path.stat().st_mtime_ns for path in (world / "home" / "cache").rglob("*.flac")}
    audio = load_for_recipe(
        recipe_named("debug"), load_labels("store"), "corpus", ("train", "valid")
    )
    assert audio.missing == {}
    assert {len(clip.inputs["audio"]) for clip in audio.of_split("train")} == {3200}
    made, _ = train_version("store", "corpus", recipe="debug")
    assert (made.version.number, made.trained) == (1, None)
    after = {path: path.stat().st_mtime_ns for path in (world / "home" / "cache").rglob("*.flac")}
    assert cached.items() <= after.items()
    # Version 2 of the extraction hears some clips otherwise: it has files of its own. Not these.
    cache = world / "home" / "cache"
    old, new = (
        {
            file.name: soundfile.read(file, dtype="int16")[0].tolist()
            for file in folder.rglob("*.flac")
        }
        for folder in (cache / "v1", cache / f"v{EXTRACTION}")
    )
    assert old == new
    assert len(old) == 8
