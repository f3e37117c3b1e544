"""SQL of other people: it reads a store and does nothing else, on a disk and in a bucket."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emi_model.errors import QueryError
from tasks.home import home
from tasks.storage.folder import StoredFile
from tasks.storage.open import child, open_folder
from tasks.store.query import answer
from tasks.store.store import ResultsStore, create_store
from tasks.store.views import connect
from tests.places import DISK_AND_BUCKET

# What follows {out} lies outside the store and {scores} inside it.
SECRET = "nobody's business"

ESCAPES = [
    "COPY (SELECT 1) TO '{out}/x.csv'",
    "COPY (SELECT 1) TO '{scores}/x.parquet'",
    "WITH x AS (COPY (SELECT 1) TO '{scores}/x.parquet') SELECT 1",
    "WITH x AS MATERIALIZED (COPY (SELECT 1) TO '{scores}/empty.parquet') SELECT * FROM x",
    "WITH x AS (COPY (SELECT 1) TO '{out}/x.csv') SELECT 1",
    "SELECT * FROM query('WITH x AS (COPY (SELECT 1) TO ''{scores}/x.csv'') SELECT 1')",
    "SELECT (WITH x AS (COPY (SELECT 1) TO '{scores}/x.csv') SELECT 1)",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{scores}/x.csv'",
    "EXPLAIN SELECT 1",
    "EXPORT DATABASE '{scores}/export'",
    "EXPORT DATABASE '{out}/export'",
    "IMPORT DATABASE '{out}'",
    "ATTACH '{scores}/x.duckdb'",
    "ATTACH '{out}/x.duckdb' AS x",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET allowed_directories = ['/']",
    "RESET allowed_directories",
    "PRAGMA temp_directory = '{out}'",
    "CALL pragma_version()",
    "CREATE TABLE x AS SELECT 1",
    "CREATE VIEW x AS SELECT 1",
    "CREATE MACRO x() AS 1",
    "CREATE SECRET x (TYPE s3)",
    "DROP VIEW scores",
    "INSERT INTO scores VALUES (1)",
    "DELETE FROM scores",
    "PREPARE x AS SELECT 1",
    "BEGIN",
    "USE memory",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_text('{scores}/../../outside/secret.txt')",
    "SELECT * FROM read_text('{scores}/../store.json')",
    "SELECT * FROM read_blob('/etc/host*')",
    "SELECT * FROM read_json('{out}/secret.txt')",
    "SELECT * FROM read_parquet('{out}/*.parquet')",
    "SELECT * FROM '{out}/secret.txt'",
    "SELECT * FROM '{out}/other.parquet'",
    "SELECT * FROM glob('{out}/*')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM sniff_csv('{out}/secret.txt')",
    "SELECT * FROM parquet_metadata('{out}/other.parquet')",
    "SELECT * FROM read_csv('https://example.org/x.csv')",
    "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "SELECT * FROM sqlite_scan('{out}/x.db', 'x')",
    "SELECT * FROM connection",
    "SELECT getenv('HOME')",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY (SELECT 1) TO '{scores}/x.csv'",
    "",
    " ; ",
    "-- nothing",
    "SELEKT 1",
    "SELECT nothing FROM scores",
    "SELECT 'x'::INTEGER",
    "SELECT error('two\nlines')",
    "SELECT $1",
]


NAMED_IN_ADVANCE = [
    "COPY (SELECT 1) TO 'store://scores/x.parquet'",
    "WITH x AS (COPY (SELECT 1) TO 'store://scores/empty.parquet') SELECT 1",
    "SELECT * FROM read_text('store://store.json')",
    "SELECT * FROM read_text('store://scores/../store.json')",
    "SELECT * FROM read_text('store://../outside/secret.txt')",
    "SELECT * FROM read_parquet('store://scores/*.parquet')",
    "SELECT * FROM glob('store://*')",
    "SELECT * FROM 'store://outside/other.parquet'",
    "SELECT * FROM read_text('file:///etc/passwd')",
    "SELECT * FROM read_text('http://127.0.0.1:1/x')",
]
"""A scheme leads nowhere, whether a storage has it or not."""

MIRRORED = [
    "COPY (SELECT 1) TO '{parts}/x.csv'",
    "WITH x AS (COPY (SELECT 1) TO '{parts}/x.csv') SELECT 1",
    "SELECT * FROM read_text('{parts}/*')",
    "SELECT * FROM read_text('{parts}/*/scores/../../*')",
    "SELECT * FROM read_parquet('{parts}/{version}')",
    "SELECT * FROM glob('{parts}/*')",
    "SELECT * FROM read_blob('{parts}/*.lock')",
]
"""Parts of buckets lie side by side on this machine, other stores' too: a question has its own."""


class Place(NamedTuple):
    """A folder with a store and other things beside it, and the files in it at first."""

    around: str
    store: str
    files: frozenset[StoredFile]


@pytest.fixture(scope="module")
def new_bucket(
    make_bucket: Callable[[], str], bucket_environment: dict[str, str]
) -> Iterator[Callable[[], str]]:
    """Return what makes a bucket, in the environment with which clients find it."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in bucket_environment.items():
            environment.setenv(name, value)
        yield make_bucket


@pytest.fixture(scope="module", params=["disk", "bucket"])
def place(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    new_bucket: Callable[[], str],
) -> Place:
    in_bucket = request.param == "bucket"
    around = new_bucket() if in_bucket else str(tmp_path_factory.mktemp("sandbox"))
    create_store(child(around, "store"))
    other = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), other)
    open_folder(around).write("outside/secret.txt", SECRET.encode())
    open_folder(around).write("outside/other.parquet", other.getvalue())
    return Place(around, child(around, "store"), frozenset(open_folder(around).files()))


@pytest.fixture(scope="module")
def other(new_bucket: Callable[[], str]) -> ResultsStore:
    """Return another store, in a bucket of its own."""
    return create_store(f"{new_bucket()}/another store")


@pytest.mark.parametrize("sql", [*ESCAPES, *NAMED_IN_ADVANCE])
def test_no_way_out(sql: str, place: Place) -> None:
    names = {"{out}": child(place.around, "outside"), "{scores}": child(place.store, "scores")}
    for name, text in names.items():
        sql = sql.replace(name, text)
    with pytest.raises(QueryError) as caught:
        answer(place.store, sql)
    # the cause, what may be meant, and the place in the question's own line: nothing from a file
    assert len(str(caught.value).splitlines()) <= 4
    assert SECRET not in str(caught.value)
    assert set(open_folder(place.around).files()) == place.files


@pytest.mark.parametrize("sql", MIRRORED)
def test_no_way_to_what_is_mirrored(sql: str, place: Place, other: ResultsStore) -> None:
    assert answer(other.location, "FROM scores").num_rows == 0
    parts = home() / "parts"
    before = {path: path.read_bytes() for path in parts.iterdir()}
    sql = sql.replace("{parts}", str(parts)).replace("{version}", next(iter(before)).name)
    for _ in range(2):
        with pytest.raises(QueryError):
            answer(place.store, sql)
    assert {path: path.read_bytes() for path in parts.iterdir()}.items() >= before.items()


def test_who_knows_where_its_own_are_sees_no_others(bucket: str) -> None:
    store = create_store(f"{bucket}/store")
    with connect(store.location) as connection:
        (own,) = (path for path in (home() / "parts").glob("reader-*") if path.is_dir())
        assert connection.sql(f"FROM '{own}/scores/empty.parquet'").fetchall() == []
        for other in (f"{own}/*", f"{own}.lock", f"{own}/../*", f"{own}/scores/../../*"):
            with pytest.raises(duckdb.PermissionException):
                connection.sql(f"FROM read_blob('{other}')")


@DISK_AND_BUCKET
class TestTold:
    def test_nothing_is_spilled_anywhere(self, store: ResultsStore) -> None:
        sql = "SELECT current_setting('temp_directory') AS folder"
        assert answer(store.location, sql).to_pylist() == [{"folder": ""}]

    def test_a_write_says_what_may_be_asked(self, store: ResultsStore) -> None:
        with pytest.raises(QueryError, match="one SELECT over scores, rejections, unseen_scores"):
            answer(store.location, "DROP VIEW scores")


def test_a_stores_files_are_for_reading(tmp_path: Path) -> None:
    store = create_store(tmp_path / "store")
    path = tmp_path / "store" / "scores" / "empty.parquet"
    assert answer(store.location, f"SELECT * FROM '{path}'").num_rows == 0
