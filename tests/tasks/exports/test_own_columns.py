"""Columns of a study may be called like something that an export computes or adds."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.exports.export import write_export
from tasks.metadata.add_metadata import add_metadata
from tests.tasks.exports.made_store import JOY, SAID, TALK, made_store

_OWN = ("label_joy", "text", "transcript_text", "uncertainty", "folded", "seconds", "segments")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("own")
    made_store(root / "store")
    cells = ",".join(["theirs"] * len(_OWN))
    (root / "study.csv").write_text(f"clip_id,{','.join(_OWN)}\n{TALK},{cells}\n")
    add_metadata(str(root / "store"), root / "study.csv")
    return root / "store"


def test_in_a_table_both_stand(store: Path, tmp_path: Path) -> None:
    write_export("parquet", str(store), str(tmp_path / "c.parquet"))
    table = pq.read_table(tmp_path / "c.parquet")
    (talk,) = (row for row in table.to_pylist() if row["clip_id"] == TALK)
    assert {talk[name] for name in _OWN} == {"theirs"}
    assert talk["label_label_joy"] == pytest.approx(0.6)
    assert talk["transcript_transcript_text"].startswith(SAID)
    assert b"label: joy" in table.schema.field("label_label_joy").metadata[b"description"]
    write_export("csv", str(store), str(tmp_path / "c.csv"))
    with (tmp_path / "c.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == table.schema.names


def test_other_forms_take_no_notice(store: Path, tmp_path: Path) -> None:
    write_export("label-studio", str(store), str(tmp_path / "t.json"))
    tasks = json.loads((tmp_path / "t.json").read_text())
    assert {task["data"]["clip_id"] for task in tasks} == set(JOY)
    assert all(0 <= task["data"]["uncertainty"] <= 1 for task in tasks)
    write_export("textgrid", str(store), str(tmp_path / "praat"))
    assert len([*(tmp_path / "praat").rglob("*.TextGrid")]) == len(JOY)
