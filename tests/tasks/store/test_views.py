from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emi_model.errors import QueryError
from tasks.progress import take_remarks
from tasks.schema.metadata import FOLDER, WHO_SPEAKS
from tasks.schema.registers import TABLE_SCHEMAS
from tasks.schema.scores import scores_schema
from tasks.schema.standing import IS_CURRENT, MISSING_SINCE
from tasks.schema.tables import COMPANIONS, SCORES, TABLES, TIMELINE, TRANSCRIPTS
from tasks.scoring.commit import RunStamp, tables_of
from tasks.storage.local import LocalFolder
from tasks.store.store import ResultsStore, create_store
from tasks.store.views import VIEWS, connect
from tests.places import DISK_AND_BUCKET

Commit = Callable[..., None]
MakeRows = Callable[..., pa.Table]
MakeStamp = Callable[..., RunStamp]
Shown = Callable[[Path], dict[str, tuple[float | None, list[float], list[float]]]]


SCORES_VIEWS = (SCORES, "rejections", "unseen_scores", "trusted_scores")


def ask(root: str | Path, sql: str) -> list[tuple[object, ...]]:
    with connect(root) as connection:
        return connection.sql(sql).fetchall()


@DISK_AND_BUCKET
class TestViews:
    def test_an_empty_store_has_every_column_and_no_row(self, store: ResultsStore) -> None:
        schemas = {**TABLE_SCHEMAS, **dict.fromkeys(SCORES_VIEWS, scores_schema())}
        for table in (SCORES, *COMPANIONS, TRANSCRIPTS):
            schemas[f"all_{table}"] = pa.schema([*schemas[table], IS_CURRENT, MISSING_SINCE])
        schemas["clips"] = pa.schema([*scores_schema(), FOLDER, WHO_SPEAKS])
        assert {*schemas, "label_snapshots"} == set(VIEWS)
        with connect(store.location) as connection:
            for view, schema in schemas.items():
                table = connection.sql(f"SELECT * FROM {view}").to_arrow_table()
                assert table.num_rows == 0
                assert table.schema.remove_metadata().equals(
                    pa.schema([pa.field(field.name, field.type) for field in schema])
                )

    def test_of_a_clip_scored_again_only_the_latest_row_is_shown(
        self, store: ResultsStore, commit: Commit, make_stamp: MakeStamp, shown: Shown
    ) -> None:
        commit("z", "a.mp4", "b.mp4", value=0.1, num_seconds=3, num_windows=2)
        commit("a", "b.mp4", value=0.2, num_seconds=1, stamp=make_stamp(run_id="run2"))
        assert shown(store.location) == {
            "a.mp4": (0.1, [0.1, 0.1, 0.1], [0.1, 0.1]),
            "b.mp4": (0.2, [0.2], []),
        }
        commit("b", "b.mp4", reason="timeout")
        assert shown(store.location)["b.mp4"] == (None, [], [])
        assert ask(store.location, "SELECT clip_id, reason FROM rejections") == [
            ("b.mp4", "timeout")
        ]

    def test_rows_of_one_moment_are_shown_once(
        self, store: ResultsStore, make_rows: MakeRows, make_stamp: MakeStamp, shown: Shown
    ) -> None:
        for value, name in ((0.1, "m"), (0.2, "z"), (0.3, "a")):
            tables = tables_of(make_rows("a.mp4", value=value), make_stamp())
            column = tables[SCORES].schema.get_field_index("scored_at")
            field = tables[SCORES].schema.field(column)
            moment = pa.array([0], field.type)
            store.commit(name, tables | {SCORES: tables[SCORES].set_column(column, field, moment)})
        assert shown(store.location) == {"a.mp4": (0.2, [0.2, 0.2], [])}

    def test_models_and_coverages_stand_side_by_side(
        self, store: ResultsStore, commit: Commit, make_stamp: MakeStamp
    ) -> None:
        commit("one", "a.mp4", value=0.1)
        commit("two", "a.mp4", value=0.2, stamp=make_stamp(model="large", model_sha256="bb"))
        full = make_stamp(model_sha256="bb", coverage="full")
        commit("three", "a.mp4", value=0.3, num_windows=2, stamp=full)
        key = "SELECT model_sha256, coverage, round(avg(valence::DOUBLE), 1), count(*)"
        for view, counts in (("all_scores", (1, 1, 1)), ("all_timeline", (2, 2, 2))):
            assert ask(store.location, f"{key} FROM {view} GROUP BY ALL ORDER BY ALL") == [
                ("aa", "first", 0.1, counts[0]),
                ("bb", "first", 0.2, counts[1]),
                ("bb", "full", 0.3, counts[2]),
            ]
        for view, count in (("scores", 1), ("timeline", 2), ("windows", 2)):
            found = ask(store.location, f"{key} FROM {view} GROUP BY ALL")
            assert found == [("bb", "full", 0.3, count)]

    def test_targets_of_other_models_become_columns(
        self, store: ResultsStore, commit: Commit, make_stamp: MakeStamp
    ) -> None:
        commit("one", "a.mp4", value=0.1)
        other = make_stamp(model_sha256="bb", targets=("Joy", "Sheer Awe"))
        commit("two", "b.mp4", value=0.2, num_windows=1, stamp=other)
        commit("three", "c.mp4", stamp=make_stamp(model_sha256="cc", targets=()))
        columns = "clip_id, round(joy::DOUBLE, 1), round(sheer_awe::DOUBLE, 1), excitement IS NULL"
        assert ask(store.location, f"SELECT {columns} FROM all_scores ORDER BY clip_id") == [
            ("a.mp4", 0.1, None, False),
            ("b.mp4", 0.2, 0.2, True),
            ("c.mp4", None, None, True),
        ]
        found = ask(store.location, f"SELECT {columns} FROM all_windows")
        assert found == [("b.mp4", 0.2, 0.2, True)]

    def test_scores_of_clips_that_trained_the_model_can_be_left_out(
        self, store: ResultsStore, make_rows: MakeRows, make_stamp: MakeStamp
    ) -> None:
        for trained in ("train", "valid", None):
            tables = tables_of(make_rows(f"{trained}.mp4"), make_stamp())
            scores = tables[SCORES]
            place = scores.schema.get_field_index("training_split")
            scores = scores.set_column(place, "training_split", pa.array([trained], pa.string()))
            store.commit(f"part-{trained}", tables | {SCORES: scores})
        found = ask(store.location, "SELECT clip_id FROM unseen_scores ORDER BY ALL")
        assert found == [("None.mp4",), ("valid.mp4",)]

    def test_a_torn_part_is_passed_over_and_one_clear_line(
        self, store: ResultsStore, commit: Commit
    ) -> None:
        commit("part", "a.mp4")
        store.folder.write("scores/torn.parquet", b"PAR1 torn")
        take_remarks()
        assert ask(store.location, "SELECT clip_id FROM scores") == [("a.mp4",)]
        (said,) = take_remarks()
        assert "scores/torn.parquet: damaged part, passed over" in said
        assert "\n" not in said

    def test_no_view_over_nothing(self, store: ResultsStore) -> None:
        store.folder.write("scores/empty.parquet", b"PAR1 torn")
        nothing = pytest.raises(QueryError, match="the views cannot be made: ")
        with nothing as caught, connect(store.location):
            pass
        assert "\n" not in str(caught.value)


class TestFolderNames:
    @pytest.mark.parametrize(
        "name",
        ["it's a 'store'", "results [2024]", "[!a]", "a*", "who?", "new\nline", "-- x;", "Gefühle"],
    )
    def test_any_folder_can_be_a_store(
        self, name: str, tmp_path: Path, make_rows: MakeRows, make_stamp: MakeStamp, shown: Shown
    ) -> None:
        store = create_store(tmp_path / name)
        store.commit("part", tables_of(make_rows("a.mp4"), make_stamp()))
        neighbour = create_store(tmp_path / "abcd")
        neighbour.commit("part", tables_of(make_rows("b.mp4"), make_stamp()))
        assert shown(store.location) == {"a.mp4": (0.5, [0.5, 0.5], [])}

    def test_a_folder_that_looks_like_a_partition_changes_no_value(
        self, tmp_path: Path, make_rows: MakeRows, make_stamp: MakeStamp
    ) -> None:
        store = create_store(tmp_path / "model=other" / "year=2024")
        store.commit("part", tables_of(make_rows("a.mp4"), make_stamp()))
        for view in (SCORES, TIMELINE):
            assert ask(store.location, f"SELECT DISTINCT model FROM {view}") == [("tiny",)]
        assert ask(store.location, "SELECT * FROM runs") == []

    def test_a_relative_path(
        self, store: ResultsStore, commit: Commit, shown: Shown, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commit("part", "a.mp4")
        monkeypatch.chdir(store.folder.root.parent)
        assert set(shown(Path(store.folder.root.name))) == {"a.mp4"}


class TestCatalog:
    def test_any_duckdb_client_gets_the_same_views(
        self, tmp_path: Path, make_rows: MakeRows, make_stamp: MakeStamp
    ) -> None:
        store = create_store(tmp_path / "it's a [store]")
        store.commit("one", tables_of(make_rows("a.mp4", "b.mp4", value=0.1), make_stamp()))
        store.commit("two", tables_of(make_rows("b.mp4", reason="timeout"), make_stamp()))
        catalog = (store.folder.root / "catalog.sql").read_text(encoding="utf-8")
        with duckdb.connect() as connection:
            connection.execute(catalog)
            for view in VIEWS:
                sql = f"SELECT * FROM {view} ORDER BY ALL"
                assert connection.sql(sql).fetchall() == ask(store.location, sql)
            assert connection.sql("SELECT reason FROM rejections").fetchall() == [("timeout",)]
            shown = connection.sql("SHOW TABLES").fetchall()
            assert shown == [(view,) for view in sorted(VIEWS)]
            connection.execute(catalog)

    def test_of_a_bucket_it_is_for_clients_that_reach_it(self, bucket: str) -> None:
        store = create_store(f"{bucket}/it's a [store]")
        catalog = store.folder.read("catalog.sql").decode()
        for table in TABLES:
            assert f"read_parquet(emi_store() || '/{table}/[!.]*.parquet'," in catalog
        assert f"getvariable('emi_store'), '{bucket}/it''s a [[]store]')" in catalog
        assert "INSTALL httpfs" in catalog.partition("CREATE OR REPLACE VIEW")[0]

    def test_a_folder_that_was_moved_gets_a_new_one(
        self, store: ResultsStore, commit: Commit, tmp_path: Path
    ) -> None:
        commit("part", "a.mp4")
        moved = store.folder.root.rename(tmp_path / "moved")
        create_store(moved)
        with duckdb.connect() as connection:
            connection.execute((moved / "catalog.sql").read_text(encoding="utf-8"))
            assert connection.sql("SELECT clip_id FROM scores").fetchall() == [("a.mp4",)]

    def test_a_folder_that_was_moved_is_found_by_a_plain_client(
        self, store: ResultsStore, commit: Commit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commit("part", "a.mp4")
        moved = LocalFolder(tmp_path / "moved")
        Path(store.location).rename(moved.root)
        catalog = moved.read("catalog.sql").decode()
        clips = "SELECT clip_id FROM scores"
        with duckdb.connect(tmp_path / "views.db") as client:
            with pytest.raises(duckdb.IOException, match="No files found"):
                client.execute(catalog)
            client.execute(f"SET VARIABLE emi_store = '{moved.root}'")
            client.execute(catalog)
            assert client.execute(clips).fetchall() == [("a.mp4",)]
        monkeypatch.chdir(moved.root)
        with duckdb.connect() as client:
            client.execute(catalog)
            assert client.execute(clips).fetchall() == [("a.mp4",)]
        moved.root.rename(store.location)
        with duckdb.connect(tmp_path / "views.db") as client:  # the views stay in a database
            assert client.execute(clips).fetchall() == [("a.mp4",)]

    def test_other_readers_find_plain_parquet(self, store: ResultsStore, commit: Commit) -> None:
        commit("part", "a.mp4", "b.mp4")
        assert pq.read_table(store.folder.root / SCORES).num_rows == 2
        assert pq.read_table(store.folder.root / TIMELINE).num_rows == 4
