"""For all tests: quiet threads, before any library is loaded; a home with MLflow's database."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

import flows  # noqa: F401 - sets the environment that OpenMP, Prefect and Ray read


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database of MLflow with nothing in it: to make one takes a second.

    From here on no database is synced to the disk: tests end no machine.
    """
    import sqlalchemy

    from tasks.mlflow_client import mlflow_client

    with pytest.MonkeyPatch.context() as environment:
        home = tmp_path_factory.mktemp("emi-home")
        environment.setenv("EMI_HOME", str(home))
        environment.delenv("MLFLOW_TRACKING_URI", raising=False)
        mlflow_client()
        sqlalchemy.event.listen(sqlalchemy.Engine, "connect", _leave_syncing)
        return home / "mlflow.db"


@pytest.fixture
def emi_home(tmp_path: Path, mlflow_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an `EMI_HOME` of this test alone, with such a database."""
    home = tmp_path / "emi home"
    home.mkdir()
    shutil.copy(mlflow_database, home)
    monkeypatch.setenv("EMI_HOME", str(home))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return home


def _leave_syncing(connection: object, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")
