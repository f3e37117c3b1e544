from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tasks.processes.server_database import (
    DATABASE_FILE,
    DATABASE_VARIABLES,
    LOCK_SECONDS,
    ServerDatabase,
    database_problem,
    prefect_folder,
)

A_VERSION = "a3b9c7d2e5f1"
"""Of the tables of the Prefect that is installed."""


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("EMI_HOME", str(tmp_path))
    for name in DATABASE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return prefect_folder() / DATABASE_FILE


def write(file: Path, version: str) -> None:
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", [version])


def place(database: ServerDatabase) -> Path:
    (url,) = database.variables.values()
    return Path(url.removeprefix("sqlite+aiosqlite:///"))


def test_it_is_in_emi_home_and_stays(file: Path) -> None:
    database = ServerDatabase()
    assert place(database) == file
    assert file.parent.is_dir()
    database.remove()
    assert file.parent.is_dir()
    write_again = sqlite3.connect(file)
    write_again.close()
    assert place(ServerDatabase()) == file


def test_a_database_of_this_prefect_is_used(file: Path) -> None:
    write(file, A_VERSION)
    assert database_problem(file) is None


def test_where_it_is_of_no_use_there_is_a_new_one_for_a_while(file: Path) -> None:
    write(file, "0123456789ab")  # of a later Prefect
    assert database_problem(file) == "its version 0123456789ab is not of this Prefect"
    database = ServerDatabase()
    assert place(database) != file
    assert place(database).parent.is_dir()
    database.remove()
    assert not place(database).parent.exists()


def test_a_lock_a_foreign_file_and_a_folder_are_of_no_use(file: Path) -> None:
    write(file, A_VERSION)
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert database_problem(file) == "database is locked"
    assert LOCK_SECONDS < 5
    file.write_text("no database" * 100)
    assert database_problem(file) == "file is not a database"
    file.unlink()
    file.mkdir()
    assert "unable to open" in str(database_problem(file))


def test_a_home_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setenv("EMI_HOME", "/dev/null/home")
    database = ServerDatabase()
    assert place(database).parent.name.startswith("emi-prefect-")
    database.remove()


def test_a_database_that_the_user_names_holds(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setenv(DATABASE_VARIABLES[1], "postgresql+asyncpg://db/prefect")
    assert ServerDatabase().variables == {}
    another = ServerDatabase(new=True)
    assert another.variables.keys() == {DATABASE_VARIABLES[0]}
    another.remove()
