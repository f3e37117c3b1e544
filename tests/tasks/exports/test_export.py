"""An export is whole or absent, names what it leaves out, and refuses what is wrong in a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from emi_model.errors import ConfigError, EmiError, ExportError, QueryError, StoreError
from tasks.exports import registry, selection
from tasks.exports.export import Chosen, Exported, write_export
from tasks.exports.registry import FORMS, Form
from tasks.exports.selection import Selection
from tasks.exports.target import ExportTarget
from tasks.storage.open import open_folder
from tasks.store.store import ResultsStore, create_store
from tests.tasks.exports.made_store import (
    BROKEN,
    JOY,
    LICENCE,
    TALK,
    made_store,
    put_rows,
    scored_row,
)

Written = Callable[..., tuple[Path, Exported]]


@pytest.mark.parametrize("form", ["parquet", "label-studio", "audformat", "eaf"])
def test_an_export_says_where_it_comes_from(
    exported: Callable[[str], tuple[Path, Exported]], form: str
) -> None:
    out, done = exported(form)
    path = out / "provenance.json" if FORMS[form].is_folder else Path(f"{out}.provenance.json")
    facts = json.loads(path.read_text())
    assert facts["made_by"] == f"emi export {form}"
    assert (facts["models"][0]["model"], facts["models"][0]["licence"]) == ("tiny", LICENCE)
    assert (facts["clips"], facts["scored"], facts["rejected"]) == (6, 5, {"no_audio_track": 1})
    assert facts["written"] == done.num_clips == 6 - sum(facts["left_out"].values())
    assert [path.name for path in out.parent.iterdir() if path.name.startswith(".")] == []


def test_slices_hold_each_clip_once(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "CLIPS_A_SLICE", 2)
    with selection.opened(clips, ()) as chosen:
        for limit in (None, 3, 4):
            limited = replace(chosen, limit=limit)
            found = [
                [row["clip_id"] for row in limited.rows(f"FROM {selection.CHOSEN} WHERE {part}")]
                for part in limited.slices()
            ]
            assert max(map(len, found)) <= 2
            ids = [clip_id for part in found for clip_id in sorted(part)]
            assert ids == sorted([*JOY, BROKEN])[:limit]


def test_conditions_that_are_refused(clips: Path) -> None:
    refused = {
        "joi > 0": "Referenced column",
        "joy >": "expected a condition, as joy > 0.5",
        "true) UNION ALL SELECT * FROM (scores": "is more than a condition",
        "true) ORDER BY (1": "is more than a condition",
        "true); DROP VIEW (scores": "expected a condition",
        "'x' IN (SELECT content FROM read_text('/etc/hostname'))": "disabled",
        "joy > 7": "nothing to export: no clip fits joy > 7",
    }
    for where, cause in refused.items():
        with pytest.raises(QueryError, match=cause) as error, selection.opened(clips, [where]):
            pass
        assert "\n" not in str(error.value)


def test_conditions_may_ask_other_views_and_hold_comments(written: Written) -> None:
    labelled = "clip_id IN (SELECT clip_id FROM labels) -- those that were rated"
    path, _ = written("parquet", "c.parquet", labelled, "joy > 0.1")
    assert pq.read_table(path)["clip_id"].to_pylist() == [TALK]


def test_what_is_refused_before_anything_is_read(clips: Path, tmp_path: Path) -> None:
    def refused(kind: type[EmiError], text: str, form: str, out: str, **how: str) -> None:
        with pytest.raises(kind, match=text):
            write_export(form, str(clips), str(tmp_path / out), Chosen(**how))  # type: ignore[arg-type]

    refused(ConfigError, "no form 'eaff': did you mean eaf?", "eaff", "x")
    refused(ConfigError, "expected one of parquet, csv", "nothing like it", "x")
    refused(ConfigError, r"x\.txt: expected a file that ends in \.csv", "csv", "x.txt")
    refused(ConfigError, "--media-url, which eaf does not take", "eaf", "x", media_url="y")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/of.txt").touch()
    refused(ExportError, "full: is there already, expected a new or empty", "eaf", "full")
    refused(ExportError, "of.txt: is there already", "eaf", "full/of.txt")
    (tmp_path / "dir.csv").mkdir()
    refused(ExportError, r"dir\.csv: is a folder, expected a file", "csv", "dir.csv")
    refused(ExportError, "cannot be written", "csv", "full/of.txt/x.csv")
    with pytest.raises(StoreError, match="no results store here"):
        write_export("csv", str(tmp_path / "none"), str(tmp_path / "x.csv"))
    create_store(tmp_path / "empty")
    with pytest.raises(QueryError, match="the store has no clip yet"):
        write_export("csv", str(tmp_path / "empty"), str(tmp_path / "x.csv"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dir.csv", "empty", "full"]


def test_an_empty_folder_is_taken_and_a_file_is_replaced(written: Written, tmp_path: Path) -> None:
    (tmp_path / "elan").mkdir()
    path, _ = written("eaf", "elan")
    assert (path / "provenance.json").exists()
    (tmp_path / "c.csv").write_text("old")
    assert written("csv", "c.csv")[0].read_text() != "old"


@pytest.mark.parametrize(
    ("form", "error"), [("csv", OSError("full")), ("eaf", KeyboardInterrupt())]
)
def test_nothing_is_left_of_an_export_that_failed(
    written: Written,
    tmp_path: Path,
    form: str,
    error: BaseException,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def write(selection: Selection, target: ExportTarget) -> int:
        FORMS[form].write(selection, target)
        raise error

    broken = Form(form, "", FORMS[form].suffix, write)
    monkeypatch.setitem(registry.FORMS, "broken", broken)
    (tmp_path / "out.csv").write_text("before")
    with pytest.raises((ExportError, KeyboardInterrupt), match=r"full|nothing was written"):
        written("broken", "out.csv" if form == "csv" else "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "before"


def test_a_damaged_part_is_passed_over_and_named(tmp_path: Path) -> None:
    store = made_store(tmp_path / "store")
    (part,) = (part for part in store.parts("scores") if part.name == "p2")
    content = bytearray(store.folder.read(part.file))
    content[4:40] = b"x" * 36
    store.folder.write(part.file, bytes(content))
    done = write_export("csv", store.location, str(tmp_path / "c.csv"))
    assert done.num_clips == len(JOY)
    assert BROKEN not in (tmp_path / "c.csv").read_text()


def test_from_a_bucket_into_a_bucket(bucket: str, place_store: Callable[..., ResultsStore]) -> None:
    store = place_store(f"{bucket}/store")
    put_rows(store, "p1", [scored_row("x/one.wav", 0.5), scored_row("x/two.wav", None)])
    done = write_export("eaf", store.location, f"{bucket}/out/elan")
    assert (done.num_clips, done.left_out) == (1, {"rejected, so nothing to show over time": 1})
    names = sorted(file.name for file in open_folder(f"{bucket}/out/elan").files())
    assert names == ["provenance.json", "x/one.eaf"]
    with pytest.raises(ExportError, match="holds objects already: choose a new prefix"):
        write_export("eaf", store.location, f"{bucket}/out/elan")
    write_export("parquet", store.location, f"{bucket}/out/c.parquet")
    assert len(open_folder(f"{bucket}/out").read("c.parquet")) > 1000
