"""DuckLake: refused in a line where DuckDB's extension is missing; what its tables hold."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from emi_model.errors import ExportError
from tasks.exports import selection
from tasks.exports.export import write_export
from tasks.exports.forms.ducklake import fill
from tests.tasks.exports.made_store import BROKEN, JOY


def test_a_missing_extension_is_not_downloaded(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # DuckDB's extensions are below it
    with pytest.raises(ExportError, match="ducklake is not installed, and is not downloaded") as e:
        write_export("ducklake", str(clips), str(tmp_path / "lake"))
    assert "\n" not in str(e.value)
    assert not (tmp_path / "lake").exists()


def test_the_tables_are_filled_slice_by_slice(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "CLIPS_A_SLICE", 3)
    with duckdb.connect() as lake, selection.opened(clips, ()) as chosen:
        assert fill(lake, chosen) == 6
        assert dict(lake.sql("SELECT clip_id, joy FROM scores").fetchall()) == {**JOY, BROKEN: None}
        counts = {
            name: lake.sql(f"SELECT count(*) FROM {name}").fetchall()[0][0]
            for name in ("timeline", "transcripts", "labels")
        }
        assert counts == {"timeline": 15, "transcripts": 2, "labels": 1}
