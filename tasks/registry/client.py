"""The client of MLflow: where MLflow keeps its records, and its errors as one line of ours.

The records are an SQLite database in `EMI_HOME`, or what ``MLFLOW_TRACKING_URI`` names. MLflow is
imported by the first call that needs it, since that takes a second.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from emi_model.errors import RegistryError
from tasks.home import home
from tasks.storage.local import place
from tasks.storage.locks import file_lock

if TYPE_CHECKING:
    from mlflow import MlflowClient

URI_VARIABLE = "MLFLOW_TRACKING_URI"
SQLITE = "sqlite:///"

# MLflow reads these when it is loaded or called. With them it sends no telemetry, prints nothing,
# since errors are raised, and waits for a server that does not answer at most a minute; by default
# it would wait a quarter of an hour.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

LOCKED = "database is locked"
LOCKED_PAUSES_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Waits before another try. SQLite waits itself, unless two writers would wait for each other."""

MAX_ERROR_CHARS = 300
"""Characters of MLflow's message in an error: half from its start, half from its end, the cause."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


def tracking_uri() -> str:
    """Return ``MLFLOW_TRACKING_URI``, by default that of the database in `EMI_HOME`."""
    return os.environ.get(URI_VARIABLE) or f"{SQLITE}{home() / 'mlflow.db'}"


def artifacts_uri() -> str | None:
    """Return where a new experiment keeps its files; None if a server decides."""
    remote = urlsplit(tracking_uri()).scheme.startswith(("http", "databricks"))
    return None if remote else (home() / "artifacts").as_uri()


def never_used() -> bool:
    """Return whether the database is missing, so that nothing was ever recorded."""
    database = _database()
    return database is not None and not database.exists()


def mlflow_client() -> MlflowClient:
    """Return a client; the database is made if it is missing.

    Raises:
        RegistryError: the database cannot be made or read, or MLflow does not take the URI.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    database = _database()
    if database is not None:
        _make_database(database)
        _check_database(database)
    from mlflow import MlflowClient

    return ask(MlflowClient, tracking_uri=tracking_uri())


def ask(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call MLflow and return the result; a call that finds the database locked is repeated.

    Raises:
        RegistryError: the call fails; the message is one line.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    pauses = iter(LOCKED_PAUSES_SECONDS)
    while True:
        try:
            return call(*args, **kwargs)
        # OSError holds the errors of requests; ImportError: a driver that is not installed
        except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
            pause = next(pauses, None) if LOCKED in str(error) else None
            if pause is None:
                raise RegistryError(_message(error)) from error
        time.sleep(pause)


@contextmanager
def locked() -> Iterator[None]:
    """Keep other processes of this machine from changing the registry; must not be nested.

    MLflow reads before it writes: two processes that register at once could register twice.

    Raises:
        RegistryError: the lock's file cannot be written.
    """
    path = (_database() or home() / "mlflow.db").with_suffix(".lock")
    with ExitStack() as stack:
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(file_lock(path))
        yield


def registry_address() -> str:
    """Return the database or server as messages name it, without a password."""
    database = _database()
    if database is not None:
        return str(database)
    parts = urlsplit(tracking_uri())
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _database() -> Path | None:
    uri = tracking_uri()
    if not uri.startswith(SQLITE):
        return None
    path = uri.removeprefix(SQLITE)
    if "%" in path or "?" in path:
        raise RegistryError(
            f"{path}: MLflow opens no database whose path holds '%' or '?': choose another EMI_HOME"
        )
    return Path(path)


def _make_database(database: Path) -> None:
    """Make a database, at its name only once it is complete.

    MLflow 3.17 locks its first migrations too, but fails for ever on a database in which they were
    cut short, and syncs each: 12 s and more on a slow disk, 0.6 s without.
    """
    if not database.exists():
        with locked(), _writing(database):
            if not database.exists():
                _migrate(database)


def _migrate(database: Path) -> None:
    import sqlalchemy
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for left in database.parent.glob(f".{database.name}-*"):
        left.unlink()
    aside = database.with_name(f".{database.name}-{os.getpid()}")
    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", _leave_syncing)
    try:
        ask(SqlAlchemyStore, f"{SQLITE}{aside}", artifacts_uri()).engine.dispose()
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "connect", _leave_syncing)
    with aside.open("rb") as content:
        os.fsync(content.fileno())
    place(aside, database)


def _leave_syncing(connection: Any, _: object) -> None:
    """Let SQLite not sync: `_migrate` does so once, at the end."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


def _check_database(database: Path) -> None:
    """Refuse what is no database at once: MLflow would try ten times, for 100 s."""
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as file:
            file.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        raise RegistryError(
            f"{database}: found no readable SQLite database ({error}): restore it, or move it away"
        ) from error


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RegistryError(
            f"{path}: cannot be written ({error}): set EMI_HOME to a folder that can"
        ) from error


def _message(error: Exception) -> str:
    message = re.sub(r"//[^/@\s]*@", "//", " ".join(str(error).split()))
    if len(message) > MAX_ERROR_CHARS:
        message = f"{message[: MAX_ERROR_CHARS // 2]} ... {message[-MAX_ERROR_CHARS // 2 :]}"
    advice = "" if _database() else f": is {URI_VARIABLE} right, and does the server run?"
    return f"MLflow at {registry_address()}: {message}{advice}"
