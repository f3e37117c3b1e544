"""The database of temporary Prefect servers: a file in EMI_HOME, or a new one where that is no use.

Prefect would take the database of the user's own Prefect, and change it to its own version.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from tasks.home import home

DATABASE_FILE = "temporary.db"
DATABASE_VARIABLES = (
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "PREFECT_API_DATABASE_CONNECTION_URL",
)
LOCK_SECONDS = 1.0
MIGRATIONS = "server/database/_migrations/versions/sqlite"


class ServerDatabase:
    """A database for one temporary server.

    Attributes:
        variables: environment of the server; empty if the user's names a database.
    """

    def __init__(self, *, new: bool = False) -> None:
        """Choose the database; nothing of it is made yet.

        Args:
            new: take a new one, in a temporary folder.

        Raises:
            OSError: no temporary folder can be made.
        """
        self._folder: Path | None = None
        self.variables: dict[str, str] = {}
        if not new and any(os.environ.get(name) for name in DATABASE_VARIABLES):
            return
        file = prefect_folder() / DATABASE_FILE
        if new or database_problem(file) is not None:
            self._folder = Path(tempfile.mkdtemp(prefix="emi-prefect-"))
            file = self._folder / DATABASE_FILE
        self.variables = {DATABASE_VARIABLES[0]: f"sqlite+aiosqlite:///{file}"}

    def remove(self) -> None:
        """Remove the database, if it is a new one."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def prefect_folder() -> Path:
    """Return the folder of Prefect's files in `EMI_HOME`."""
    return home() / "prefect"


def database_problem(file: Path) -> str | None:
    """Return why a Prefect server of this version could not use a database; None if it can."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file, LOCK_SECONDS)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # fails where it is read-only or locked
            tables = "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"
            if connection.execute(tables).fetchone() == (0,):
                return None
            versions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except (OSError, sqlite3.Error) as error:
        return str(error)
    unknown = {version for (version,) in versions} - (known := _known_versions())
    return f"its version {unknown.pop()} is not of this Prefect" if known and unknown else None


def _known_versions() -> set[str]:
    """Return the versions of Prefect's tables that it can start from, without importing Prefect."""
    spec = find_spec("prefect")
    if spec is None or spec.origin is None:
        return set()
    files = (Path(spec.origin).parent / MIGRATIONS).glob("*_*_*_*_*_*.py")
    return {file.name.split("_")[4] for file in files}  # YEAR_MONTH_DAY_TIME_VERSION_NAME.py
