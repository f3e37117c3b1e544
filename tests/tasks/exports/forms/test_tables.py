"""Tables of clips: what is in them, and that spreadsheets compute nothing of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import frictionless
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from tasks.exports.export import Exported
from tests.tasks.exports.made_store import BROKEN, FORMULA, JOY, LICENCE, QUIET, SAID, TALK

Export = Callable[[str], tuple[Path, Exported]]


def test_parquet_has_a_row_a_clip_with_words_and_labels(exported: Export) -> None:
    path, done = exported("parquet")
    assert (done.num_clips, done.left_out) == (6, {})
    found = pq.read_table(path)
    rows = {row["clip_id"]: row for row in found.to_pylist()}
    assert list(rows) == sorted([*JOY, BROKEN])
    assert {clip_id: rows[clip_id]["joy"] for clip_id in JOY} == JOY
    assert (rows[BROKEN]["joy"], rows[BROKEN]["reason"]) == (None, "no_audio_track")
    assert rows[TALK]["text"] == f"{SAID} naïve\nwords"
    assert rows[TALK]["label_joy"] == pytest.approx(0.6)
    assert (rows[TALK]["speaker"], rows[TALK]["split"]) == ("00012", "train")
    assert (rows[QUIET]["text"], rows[QUIET]["label_joy"]) == ("", None)
    assert found.schema.field("joy").metadata[b"unit"] == b"0..1"
    facts = json.loads(found.schema.metadata[b"emi_provenance"])
    assert (facts["models"][0]["licence"], facts["rejected"]) == (LICENCE, {"no_audio_track": 1})


def test_other_tools_read_the_parquet(exported: Export) -> None:
    path, _ = exported("parquet")
    frame = pd.read_parquet(path)
    assert frame.set_index("clip_id")["joy"].dropna().to_dict() == JOY
    scored = pl.scan_parquet(path).filter(pl.col("status") == "scored").collect()
    assert dict(zip(scored["clip_id"], scored["joy"], strict=True)) == JOY
    with duckdb.connect() as connection:
        sql = f"SELECT sum(joy), count(*) FROM '{path}'"
        assert connection.sql(sql).fetchall() == [(sum(JOY.values()), 6)]


def test_csv_is_exact(exported: Export) -> None:
    path, _ = exported("csv")
    frame = pd.read_csv(path, dtype={"speaker": str}).set_index("clip_id")
    assert frame.loc[FORMULA, "joy"] == 0.75
    assert frame.loc[TALK, "text"] == f"{SAID} naïve\nwords"
    assert frame.loc[TALK, "speaker"] == "00012"


def test_the_dictionary_beside_it_fits_the_table(exported: Export) -> None:
    path, _ = exported("csv")
    rows = list(csv.DictReader(io.StringIO((path.parent / "clips.csv.dictionary.csv").read_text())))
    assert [row["column"] for row in rows] == path.read_text().partition("\n")[0].split(",")
    (joy,) = (row for row in rows if row["column"] == "joy")
    assert (joy["unit"], joy["meaning"]) == ("0..1", "EMI score: intensity of joy")
    assert all(row["meaning"] for row in rows)
    package = json.loads((path.parent / "clips.csv.datapackage.json").read_text())
    assert package["licenses"][0]["name"] == LICENCE
    assert frictionless.Package.metadata_validate(package) is not None
    assert list(frictionless.Package.metadata_validate(package)) == []
    names = [field["name"] for field in package["resources"][0]["schema"]["fields"]]
    assert names == [row["column"] for row in rows]


def test_spreadsheets_compute_nothing(exported: Export) -> None:
    path, _ = exported("excel")
    text = path.read_bytes()
    assert text.startswith(b"\xef\xbb\xbfclip_id;uri;")
    rows = list(csv.reader(io.StringIO(text.decode("utf-8-sig")), delimiter=";"))
    assert f"'{FORMULA}" in [row[0] for row in rows]
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "@", "\t")]
    beside = (path.parent / "clips.csv.dictionary.csv").read_bytes()
    assert beside.startswith(b"\xef\xbb\xbfcolumn;type;")


@pytest.mark.parametrize("point", [".", ","])
def test_the_package_says_how_spreadsheets_write_numbers(
    written: Callable[..., tuple[Path, Exported]], point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("locale.localeconv", lambda: {"decimal_point": point})
    path, _ = written("excel", "c.csv")
    assert f";0{point}75;" in path.read_text()
    monkeypatch.chdir(path.parent)
    report = frictionless.Package("c.csv.datapackage.json").validate()
    assert report.flatten(["message"]) == []
    assert report.valid
