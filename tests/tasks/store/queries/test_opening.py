"""Opened views answer as views do that compare every row with every other, whatever happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.schema.scores import scores_schema, timeline_schema
from tasks.schema.standing import CURRENT_SCHEMA, MISSING_SCHEMA
from tasks.schema.tables import CURRENT_MODEL, MISSING_CLIPS, SCORES, TIMELINE
from tasks.store.compaction import compact
from tasks.store.paths import Part
from tasks.store.queries.latest import sorted_parts
from tasks.store.store import ResultsStore
from tasks.store.views import connect

REFERENCE = """
CREATE VIEW current_scores AS
SELECT *, parse_filename(filename, true) AS part
FROM read_parquet('{root}/scores/*.parquet', union_by_name = true, filename = true)
QUALIFY row_number() OVER (
    PARTITION BY clip_id, model_sha256, coverage ORDER BY scored_at DESC, run_id DESC, part DESC
) = 1;
CREATE VIEW current_timeline AS
SELECT companion.*, parse_filename(companion.filename, true) AS part
FROM read_parquet('{root}/timeline/*.parquet', union_by_name = true, filename = true) AS companion
SEMI JOIN current_scores AS scores
    ON companion.clip_id = scores.clip_id
    AND companion.model_sha256 = scores.model_sha256
    AND companion.coverage = scores.coverage
    AND parse_filename(companion.filename, true) = scores.part;
CREATE MACRO everything(of) AS TABLE
SELECT
    row.* EXCLUDE (filename, part),
    gone.missing_since IS NULL AND shown.coverage IS NOT NULL AS is_current,
    gone.missing_since
FROM query_table(of) AS row
LEFT JOIN (
    SELECT clip_id, missing_since FROM read_parquet('{root}/missing_clips/*.parquet')
) AS gone ON row.clip_id = gone.clip_id
LEFT JOIN (
    SELECT scored.model_sha256, scored.coverage
    FROM (
        SELECT model_sha256, coverage, max(scored_at) AS scored_at
        FROM read_parquet('{root}/scores/*.parquet', union_by_name = true)
        GROUP BY ALL
    ) AS scored
    LEFT JOIN read_parquet('{root}/current_model/*.parquet') AS chosen
        ON scored.model_sha256 = chosen.model_sha256 AND scored.coverage = chosen.coverage
    ORDER BY chosen.since DESC NULLS LAST, scored.scored_at DESC, 1, 2
    LIMIT 1
) AS shown ON row.model_sha256 = shown.model_sha256 AND row.coverage = shown.coverage;
CREATE VIEW all_scores AS FROM everything('current_scores');
CREATE VIEW all_timeline AS FROM everything('current_timeline');
CREATE VIEW scores AS SELECT * EXCLUDE (is_current, missing_since) FROM all_scores WHERE is_current;
CREATE VIEW timeline AS
SELECT * EXCLUDE (is_current, missing_since) FROM all_timeline WHERE is_current;
"""
"""The views as they were before there was anything to find out at their opening."""

COMPARED = ("scores", "all_scores", "timeline", "all_timeline")
START = datetime(2026, 1, 1, tzinfo=UTC)
CLIPS, MODELS, COVERAGES = ("a", "b", "c", "d"), ("aa", "bb"), ("first", "full")

Clip = tuple[str, int]
"""A clip and the number of its seconds."""

clips = st.lists(
    st.tuples(st.sampled_from(CLIPS), st.integers(0, 2)),
    min_size=1,
    max_size=4,
    unique_by=lambda clip: clip[0],
)
events = st.one_of(
    st.tuples(
        st.just("run"),
        st.integers(0, 99),
        st.sampled_from(MODELS),
        st.sampled_from(COVERAGES),
        st.integers(0, 3),
        clips,
    ),
    st.tuples(st.just("compact"), st.sampled_from([None, None, *range(8)]), st.booleans()),
    st.tuples(st.just("copy back"), st.integers(0, 5)),
    st.tuples(st.just("orphan"), st.sampled_from(CLIPS)),
    st.tuples(st.just("missing"), st.sets(st.sampled_from(CLIPS), max_size=2)),
    st.tuples(st.just("current"), st.sampled_from(MODELS), st.sampled_from(COVERAGES)),
)


class Killed(BaseException):
    """Stands for kill -9: what was written stays, and nothing more is done."""


class World:
    """A store to which things happen."""

    def __init__(self, store: ResultsStore) -> None:
        self.store = store
        self.root = Path(store.location)
        self.number = 0
        self.removed: dict[str, bytes] = {}

    def happen(self, kind: str, *details: Any) -> None:
        self.number += 1
        getattr(self, kind.replace(" ", "_"))(*details)

    def run(self, name: int, model: str, coverage: str, minute: int, of: Sequence[Clip]) -> None:
        tables = tables_of_run(model, coverage, minute, of)
        self.store.commit(f"{name:02d}-{self.number:02d}", tables)

    def compact(self, writes: int | None, whole: bool) -> None:
        put, remove, left = self.store.writer.put, self.store.writer.remove, writes

        def step() -> None:
            nonlocal left
            if left is not None:
                left -= 1
                if left < 0:
                    raise Killed

        def putting(file: str, content: Any) -> None:
            step()
            put(file, content)

        def removing(files: Sequence[str]) -> None:
            for file in files:
                step()
                if self.store.folder.exists(file):
                    self.removed[file] = self.store.folder.read(file)
                remove([file])

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.store.writer, "put", putting)
            patch.setattr(self.store.writer, "remove", removing)
            patch.setattr("tasks.store.compaction.PART_BYTES", 80_000)  # of three small parts
            with suppress(Killed):
                compact(self.store, f"merged-{self.number:02d}", superseded=True, whole=whole)

    def copy_back(self, number: int) -> None:
        """Another process still has what a compaction removed: the latest files, scores last."""
        for file in sorted(list(self.removed)[-number:], reverse=True):
            self.store.folder.write(file, self.removed[file])

    def orphan(self, clip: str) -> None:
        rows = tables_of_run("aa", "first", 0, [(clip, 1)])
        self.store.writer.put(f"timeline/zz-orphan-{self.number}.parquet", rows[TIMELINE])

    def missing(self, ids: set[str]) -> None:
        rows = [{"clip_id": clip, "source": "/c", "missing_since": START} for clip in sorted(ids)]
        self.store.replace(MISSING_CLIPS, pa.Table.from_pylist(rows, MISSING_SCHEMA))

    def current(self, model: str, coverage: str) -> None:
        row = {
            "model": model,
            "model_sha256": model,
            "coverage": coverage,
            "is_champion": True,
            "run_id": "run",
            "since": START,
        }
        self.store.replace(CURRENT_MODEL, pa.Table.from_pylist([row], CURRENT_SCHEMA))


def tables_of_run(
    model: str, coverage: str, minute: int, of: Sequence[Clip]
) -> dict[str, pa.Table]:
    stamp = {"model": model, "model_sha256": model, "coverage": coverage, "run_id": f"r{minute}"}
    row = stamp | {"uri": "", "status": "scored", "flags": [], "joy": 0.5}
    row["scored_at"] = START + timedelta(minutes=minute)
    scores = [row | {"clip_id": clip, "bytes": seconds} for clip, seconds in of]
    second = stamp | {"num_frames": 50}
    timeline = [
        second | {"clip_id": clip, "second": n, "valence": seconds / 8}
        for clip, seconds in of
        for n in range(seconds)
    ]
    return {
        SCORES: pa.Table.from_pylist(scores, scores_schema()),
        TIMELINE: pa.Table.from_pylist(timeline, timeline_schema()),
    }


def answers(connection: duckdb.DuckDBPyConnection) -> Mapping[str, Any]:
    found = {view: connection.sql(f"FROM {view} ORDER BY ALL") for view in COMPARED}
    return {view: (rows.columns, rows.types, rows.fetchall()) for view, rows in found.items()}


def reference(root: Path) -> Mapping[str, Any]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET parquet_metadata_cache = true")
        connection.execute(REFERENCE.format(root=root))
        return answers(connection)


@pytest.fixture
def new_world(tmp_path: Path, place_store: Callable[..., ResultsStore]) -> Callable[[], World]:
    numbers = iter(range(10**6))
    return lambda: World(place_store(tmp_path / str(next(numbers))))


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(events, min_size=2, max_size=9))
def test_whatever_happened_the_answers_are_those_of_the_reference(
    new_world: Callable[[], World], history: list[tuple[Any, ...]]
) -> None:
    world = new_world()
    for event in history:
        world.happen(*event)
    with connect(world.store.location, views=COMPARED) as connection:
        assert answers(connection) == reference(world.root)


@pytest.mark.parametrize("minutes", [(1, 1, 1, 5, 0, 0), (1, 1, 9, 5, 0, 0), (0, 0, 0, 1, 9, 1)])
def test_the_newest_model_of_row_groups_that_hold_two(
    minutes: tuple[int, ...], new_world: Callable[[], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of six rows the first three are of one model, and a row group is two rows."""
    monkeypatch.setattr("tasks.storage.parquet_files.ROW_GROUP_ROWS", 2)
    runs = [
        tables_of_run(MODELS[place > 2], "first", minute, [(f"clip {place}", 1)])
        for place, minute in enumerate(minutes)
    ]
    world = new_world()
    world.store.commit(
        "one", {table: pa.concat_tables(run[table] for run in runs) for table in (SCORES, TIMELINE)}
    )
    with connect(world.store.location, views=COMPARED) as connection:
        found = answers(connection)
    assert found == reference(world.root)
    assert len(found["scores"][2]) == 3


def part(name: str, size: int = 100) -> Part:
    return Part(SCORES, name, size, 0)


class TestApart:
    def test_the_largest_parts_that_say_so_of_each_other(self) -> None:
        parts = [part("a"), part("b", 300), part("c", 200), part("d", 50), part("empty")]
        claims: dict[str, set[str]] = {"b": {"c"}, "c": set(), "d": {"b", "c"}, "a": {"b"}}
        apart, loose = sorted_parts(parts, claims)
        assert [one.name for one in apart] == ["b", "c", "d", "empty"]
        assert [one.name for one in loose] == ["a"]
