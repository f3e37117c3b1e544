from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emi_model.errors import QueryError
from tasks.storage.own_tables import read_own_tables


def test_columns_are_numbers_where_all_cells_are(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("id;age;score;note\n00012;30;0,5;x\n00013;;1;2\n")
    (table,) = read_own_tables([f"own={tmp_path}/own.csv"], ["scores"]).values()
    assert table.to_pylist() == [
        {"id": "00012", "age": 30, "score": 0.5, "note": "x"},
        {"id": "00013", "age": None, "score": 1.0, "note": "2"},
    ]


@pytest.mark.parametrize("ids", [["1_2", "3_4"], ["20000000000000000001", "7"]])
def test_ids_of_digits_are_no_numbers(ids: list[str], tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("\n".join(["id,n", *(f"{one},1e3" for one in ids)]))
    (table,) = read_own_tables([f"own={tmp_path}/own.csv"], []).values()
    assert table.to_pydict() == {"id": ids, "n": [1000.0, 1000.0]}


def test_parquet_stays_as_it_is(tmp_path: Path) -> None:
    table = pa.table({"day": pa.array([1], pa.date32()), "l": [[1, 2]]})
    pq.write_table(table, tmp_path / "own.parquet")
    assert read_own_tables([f"Own_1={tmp_path}/own.parquet"], [])["Own_1"] == table


def test_a_table_without_rows(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("a,b\n")
    (table,) = read_own_tables([f"own={tmp_path}/own.csv"], []).values()
    assert (table.schema.names, table.num_rows) == (["a", "b"], 0)


@pytest.mark.parametrize(
    ("named", "cause"),
    [
        (["own"], "expected NAME=FILE"),
        (["=own.csv"], "expected NAME=FILE"),
        (["a b=own.csv"], "expected NAME=FILE"),
        (["Scores=own.csv"], "there is a table Scores already"),
        (["a=own.csv", "A=own.csv"], "there is a table A already"),
        (["a=none.csv"], "cannot read the table none.csv"),
        (["a=odd.csv"], "line 2 has 3 cells, expected 2"),
    ],
)
def test_what_is_refused(
    named: list[str], cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.csv").write_text("a\n1\n")
    Path("odd.csv").write_text("a,b\n1,2,3\n")
    with pytest.raises(QueryError, match=cause):
        read_own_tables(named, ["scores"])
