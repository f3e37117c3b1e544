"""How the columns of a Parquet file are written."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.storage.parquet_files import is_as_sealed, parquet_bytes


def test_all_but_real_numbers_are_written_as_a_dictionary() -> None:
    table = pa.table(
        {
            "clip_id": ["a", "a"],
            "joy": pa.array([0.25, None], pa.float32()),
            "flags": [["silent"], []],
            "gaps": [[{"name": "x", "seconds": 1.5}], None],
            "reasons": pa.array([[("timeout", 1)], []], pa.map_(pa.string(), pa.int64())),
            "point": [{"x": 0.5, "n": 1}, None],
        }
    )
    content = io.BytesIO(parquet_bytes(table))
    assert is_as_sealed(content)
    group = pq.ParquetFile(content).metadata.row_group(0)
    columns = [group.column(n) for n in range(group.num_columns)]
    plain = {column.path_in_schema for column in columns if not column.has_dictionary_page}
    assert plain == {"joy", "gaps.list.element.seconds", "point.x"}
    assert pq.read_table(content).to_pylist() == table.to_pylist()
