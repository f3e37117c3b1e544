from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from emi_model.errors import StoreError
from tasks.schema.registers import REGISTER_SCHEMAS, TABLE_SCHEMAS, labels_schema, register_table
from tasks.schema.scores import scores_schema
from tasks.schema.tables import DECISIONS, LABELS, REGISTERS, SCORES, TABLES
from tasks.store.query import answer
from tasks.store.store import ResultsStore, create_store, open_store
from tests.places import DISK_AND_BUCKET

DECISION: dict[str, Any] = {
    "decision_id": "d1",
    "decided_at": datetime(2026, 1, 1, tzinfo=UTC),
    "name": "emi",
    "challenger": "2",
    "snapshot": "ab",
    "split_sha256": "cd",
    "champion_pearson": None,
    "challenger_pearson": 0.4,
    "promoted": True,
    "reason": "there was no champion",
}


def test_every_table_has_a_schema_and_every_field_its_unit_and_meaning() -> None:
    assert set(TABLE_SCHEMAS) == set(TABLES)
    assert set(REGISTER_SCHEMAS) == set(REGISTERS)
    for schema in (*REGISTER_SCHEMAS.values(), labels_schema(("Sheer Joy",))):
        for field in schema:
            assert set(field.metadata or ()) == {b"unit", b"description"}
    assert "sheer_joy" in labels_schema(("Sheer Joy",)).names


class TestRecord:
    @DISK_AND_BUCKET
    def test_what_is_recorded_can_be_asked_for(self, store: ResultsStore) -> None:
        store.record(DECISIONS, "d1", register_table(DECISIONS, [DECISION]))
        later = DECISION | {"decision_id": "d2", "promoted": False, "difference_low": -0.1}
        store.record(DECISIONS, "d2", register_table(DECISIONS, [later]))
        rows = answer(store.location, "SELECT * FROM decisions ORDER BY decision_id").to_pylist()
        assert [row["promoted"] for row in rows] == [True, False]
        assert [row["difference_low"] for row in rows] == [None, -0.1]
        names = {file.name for file in store.folder.files(DECISIONS)}
        assert names == {f"decisions/{name}.parquet" for name in ("empty", "d1", "d2")}

    @DISK_AND_BUCKET
    def test_a_name_is_never_taken_twice(self, store: ResultsStore) -> None:
        store.record(DECISIONS, "d1", register_table(DECISIONS, [DECISION]))
        other = register_table(DECISIONS, [DECISION | {"reason": "another"}])
        with pytest.raises(StoreError, match="never changed"):
            store.record(DECISIONS, "d1", other)

    def test_what_cannot_be_written_leaves_nothing(self, store: ResultsStore) -> None:
        shutil.rmtree(store.folder.root / DECISIONS)
        (store.folder.root / DECISIONS).write_text("in the way")
        with pytest.raises(StoreError, match="nothing was added"):
            store.record(DECISIONS, "d1", register_table(DECISIONS, [DECISION]))

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"winner": "2"}, "has no column winner"),
            ({"reason": None}, "does not fit"),
            ({"promoted": "yes"}, "does not fit"),
            ({"difference": float("nan")}, "difference is not finite: undefined is null"),
            ({"level": 95.0}, "level outside 0..1"),
        ],
    )
    def test_rows_that_do_not_fit(self, change: dict[str, Any], said: str) -> None:
        with pytest.raises(StoreError, match=said):
            register_table(DECISIONS, [DECISION | change])


class TestEarlierStores:
    @pytest.fixture
    def old(self, store: ResultsStore) -> Path:
        """Return a store as an earlier version left it."""
        for table in REGISTERS:
            shutil.rmtree(store.folder.root / table)
        lacking = ["joy_low", "training_split"]
        part = store.folder.root / SCORES / "empty.parquet"
        pq.write_table(scores_schema().empty_table().drop_columns(lacking), part)
        return store.folder.root

    @pytest.mark.parametrize("use", [open_store, create_store])
    def test_they_are_completed(self, use: Any, old: Path) -> None:
        use(old)
        for table, schema in TABLE_SCHEMAS.items():
            written = pq.read_schema(old / table / "empty.parquet")
            assert written.remove_metadata().equals(schema.remove_metadata())
        assert "unseen_scores" in (old / "catalog.sql").read_text()

    def test_they_can_be_asked_at_once(self, old: Path) -> None:
        assert answer(old, "FROM unseen_scores").num_rows == 0
        assert answer(old, f"FROM {LABELS}").num_rows == 0

    def test_one_that_cannot_be_written_opens_all_the_same(self, old: Path) -> None:
        (old / LABELS).write_text("in the way")
        assert open_store(old).location == str(old)
