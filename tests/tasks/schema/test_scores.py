from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emi_model.errors import StoreError
from tasks.schema.fields import checked
from tasks.schema.outcomes import Flag, Reason
from tasks.schema.runs import RUNS_SCHEMA
from tasks.schema.scores import (
    EXTRACTED,
    bound_columns,
    scored_schema,
    scores_schema,
    timeline_schema,
    windows_schema,
)
from tasks.schema.tables import ATTRIBUTIONS, RUNS, SCORES, TABLES, TIMELINE, WINDOWS
from tasks.scoring.commit import RunStamp, Tally, tables_of
from tasks.scoring.run_record import RunRecord, write_record
from tasks.store.store import ResultsStore

MakeRows = Callable[..., pa.Table]
MakeStamp = Callable[..., RunStamp]

# fmt: off
PROMISED = [
    "clip_id", "uri", "content_sha256", "bytes", "status", "reason", "detail",
    "admiration", "amusement", "determination", "empathic_pain", "excitement", "joy",
    "arousal", "dominance", "valence", "arousal_of_mean", "dominance_of_mean", "valence_of_mean",
    "duration_seconds", "declared_seconds", "scored_seconds", "num_frames", "flags",
    "codec", "sampling_rate", "channels", "track", "rms_dbfs", "peak_dbfs", "silent_fraction",
    "model", "model_sha256", "backbone_licence", "run_id", "scored_at",
]
# fmt: on
"""The columns of scores that the README and the first issue name, in their order."""


@pytest.fixture
def tables(make_rows: MakeRows, make_stamp: MakeStamp) -> dict[str, pa.Table]:
    return tables_of(make_rows("a.mp4", "b.mp4", num_windows=2), make_stamp())


@pytest.fixture
def scores(tables: dict[str, pa.Table]) -> pa.Table:
    return tables[SCORES]


def with_column(table: pa.Table, name: str, values: list[Any], kind: pa.DataType) -> pa.Table:
    return table.set_column(table.schema.names.index(name), name, pa.array(values, kind))


def undocumented(fields: Iterator[pa.Field]) -> list[str]:
    """Return the fields without a unit and a description."""
    return [
        field.name for field in fields if set(field.metadata or ()) != {b"unit", b"description"}
    ]


class TestColumns:
    def test_scores_holds_what_was_promised_in_this_order(self) -> None:
        assert [name for name in scores_schema().names if name in PROMISED] == PROMISED

    def test_targets_name_their_columns(self) -> None:
        names = scores_schema(("Awe", "Sheer Joy")).names
        assert {"awe", "sheer_joy", "arousal"} < set(names)
        assert "joy" not in names
        assert "sheer_joy" in windows_schema(("Sheer Joy",)).names
        assert scores_schema(()).names[8] == "arousal"

    def test_intervals_stand_right_behind_the_scores(self) -> None:
        names = scores_schema(("Joy", "Sheer Awe")).names
        assert names[8:10] == ["joy", "sheer_awe"]
        assert names[10:14] == ["joy_low", "joy_high", "sheer_awe_low", "sheer_awe_high"]
        assert names[10:14] == bound_columns(("Joy", "Sheer Awe"))

    def test_nothing_is_known_yet_of_intervals_and_training(
        self, tables: dict[str, pa.Table]
    ) -> None:
        for column in ("joy_low", "joy_high", "training_split"):
            assert tables[SCORES][column].null_count == tables[SCORES].num_rows

    def test_every_field_says_its_unit_and_meaning(self) -> None:
        schemas = [scores_schema(), timeline_schema(), windows_schema(), RUNS_SCHEMA]
        assert [undocumented(iter(schema)) for schema in schemas] == [[], [], [], []]
        assert undocumented(iter(EXTRACTED)) == []
        nested = [
            scored_schema(["Joy"]).field(name).type.value_type
            for name in (TIMELINE, WINDOWS, ATTRIBUTIONS)
        ]
        assert [undocumented(iter(kind)) for kind in nested] == [[], [], []]

    def test_the_written_files_say_it_too(
        self, store: ResultsStore, tables: dict[str, pa.Table], make_stamp: MakeStamp
    ) -> None:
        store.commit("part", tables)
        record = RunRecord(make_stamp(), "corpus", "auto", datetime.now(UTC))
        write_record(store, record, Tally())
        of_clips = (SCORES, TIMELINE, WINDOWS, ATTRIBUTIONS)
        names = {**dict.fromkeys(of_clips, "part"), RUNS: "run1"}
        for table in TABLES:
            written = {
                path.stem: pq.read_schema(path) for path in (store.folder.root / table).iterdir()
            }
            assert set(written) - {"empty"} == ({names[table]} if table in names else set())
            for schema in written.values():
                assert undocumented(iter(schema)) == []
        duration = store.read(store.parts(SCORES)[0]).schema.field("duration_seconds")
        assert duration.metadata[b"unit"] == b"s"

    def test_enumerations_are_in_the_metadata(self) -> None:
        reason, flags = (
            scores_schema().field(name).metadata[b"unit"] for name in ("reason", "flags")
        )
        assert reason.decode().split("|") == list(Reason)
        assert flags.decode().split("|") == list(Flag)


class TestChecked:
    def test_a_good_table_comes_back_under_the_schema(self, scores: pa.Table) -> None:
        bare = scores.replace_schema_metadata().cast(
            pa.schema([pa.field(field.name, field.type) for field in scores.schema])
        )
        found = checked(bare, scores_schema())
        assert found.schema.equals(scores_schema(), check_metadata=True)
        assert found.to_pylist() == scores.to_pylist()

    def test_a_rejection_is_good_too(self, make_rows: MakeRows, make_stamp: MakeStamp) -> None:
        for reason in Reason:
            tables = tables_of(make_rows("a.mp4", reason=reason.value), make_stamp())
            assert tables[SCORES]["reason"].to_pylist() == [reason.value]
            assert tables[SCORES]["joy"].null_count == 1

    def test_no_row_is_good_too(self) -> None:
        assert checked(scores_schema().empty_table(), scores_schema()).num_rows == 0

    @pytest.mark.parametrize("change", ["missing", "surplus", "reordered"])
    def test_other_columns(self, change: str, scores: pa.Table) -> None:
        names = scores.schema.names
        table = {
            "missing": lambda: scores.drop_columns(["joy"]),
            "surplus": lambda: scores.append_column("joyful", scores["joy"]),
            "reordered": lambda: scores.select([*names[1:], names[0]]),
        }[change]()
        said = {"missing": "joy", "surplus": "joyful", "reordered": "their order"}[change]
        with pytest.raises(StoreError, match=rf"columns differ from the schema in .*{said}"):
            checked(table, scores_schema())

    @pytest.mark.parametrize(
        ("column", "values", "kind"),
        [
            ("joy", ["high", "low"], pa.string()),
            ("bytes", [0.5, 1.0], pa.float64()),
            ("track", [2**40, 1], pa.int64()),
            ("flags", ["silent", "silent"], pa.string()),
            ("scored_at", [{"a": 1}, {"a": 2}], pa.struct([("a", pa.int64())])),
        ],
    )
    def test_other_types(
        self, column: str, values: list[Any], kind: pa.DataType, scores: pa.Table
    ) -> None:
        with pytest.raises(StoreError, match="does not fit its schema"):
            checked(with_column(scores, column, values, kind), scores_schema())

    @pytest.mark.parametrize(
        "column", [field.name for field in scores_schema() if not field.nullable]
    )
    def test_a_null_where_a_value_was_promised(self, column: str, scores: pa.Table) -> None:
        values = [scores[column][0].as_py(), None]
        table = with_column(scores, column, values, scores_schema().field(column).type)
        with pytest.raises(StoreError, match=f"does not fit its schema: .*{column}"):
            checked(table, scores_schema())

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    @pytest.mark.parametrize("column", ["joy", "valence", "arousal_of_mean"])
    def test_a_score_that_is_not_finite(self, column: str, value: float, scores: pa.Table) -> None:
        table = with_column(scores, column, [0.5, value], pa.float32())
        with pytest.raises(StoreError, match=f"{column} holds a value that is not finite"):
            checked(table, scores_schema())

    @pytest.mark.parametrize("table", [SCORES, WINDOWS])
    @pytest.mark.parametrize("value", [-0.001, 1.001])
    def test_an_emi_score_outside_its_range(
        self, value: float, table: str, tables: dict[str, pa.Table]
    ) -> None:
        schema = {SCORES: scores_schema(), WINDOWS: windows_schema()}[table]
        values = [value] * tables[table].num_rows
        with pytest.raises(StoreError, match=r"empathic_pain outside 0\.\.1"):
            checked(with_column(tables[table], "empathic_pain", values, pa.float32()), schema)
        assert checked(with_column(tables[table], "valence", values, pa.float32()), schema)

    def test_a_second_that_is_not_finite(self, tables: dict[str, pa.Table]) -> None:
        table = with_column(tables[TIMELINE], "valence", [0, 0, 0, float("nan")], pa.float32())
        with pytest.raises(StoreError, match="valence"):
            checked(table, timeline_schema())

    @pytest.mark.parametrize(
        ("column", "value", "said"),
        [
            ("status", "done", "a status that is none"),
            ("reason", "timeout", "a reason where it should not be"),
            ("status", "rejected", "a reason where it should not be"),
            ("flags", ["silent", "quiet"], "a flag that is none"),
            ("flags", [None], "a flag that is none"),
            ("silent_fraction", 1.5, r"silent_fraction outside 0\.\.1"),
        ],
    )
    def test_outcomes(self, column: str, value: Any, said: str, scores: pa.Table) -> None:
        first = scores[column][0].as_py()
        table = with_column(scores, column, [first, value], scores_schema().field(column).type)
        with pytest.raises(StoreError, match=said):
            checked(table, scores_schema())

    def test_a_reason_that_is_not_enumerated(
        self, make_rows: MakeRows, make_stamp: MakeStamp
    ) -> None:
        with pytest.raises(StoreError, match="a reason that is not enumerated"):
            tables_of(make_rows("a.mp4", reason="bad luck"), make_stamp())
