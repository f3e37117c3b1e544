"""For all tests: few threads, set before libraries load; MLflow's database; object storage."""

from __future__ import annotations

import fcntl
import gc
import itertools
import logging
import os
import shutil
import signal
import sqlite3
import threading
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import flows  # noqa: F401 - sets the environment that OpenMP, Prefect and Ray read
from emi_model.loading import without_gc

BUCKET_NUMBERS = itertools.count(1)

# For the tests and the commands that they start, since several processes share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# A shell lets what it starts in the background ignore Ctrl-C, and so do all processes below:
# tests that interrupt one would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# pytest loads readline, which gives the processes of pytest-xdist a terminal's size.
for _size in ("COLUMNS", "LINES"):
    os.environ.pop(_size, None)

# On a busy machine examples take long to draw, which says nothing of the code.
settings.register_profile("busy", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect tests without garbage collection, since they import large libraries."""
    with without_gc():
        return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Allow garbage collection again: some libraries check at exit that their objects are gone."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def home_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give tests an `EMI_HOME` of their own instead of the user's."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EMI_HOME", str(tmp_path_factory.mktemp("emi-home")))
        yield


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that makes a folder, once for all processes that pytest-xdist starts."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with (shared / f"{name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def mlflow_database(made_once: Callable[..., Path]) -> Path:
    """Return an empty MLflow database: creating one takes a second.

    From here on databases are not synced to the disk: no test cuts the power.
    """
    import sqlalchemy

    from tasks.registry.client import mlflow_client

    def make(home: Path) -> None:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("EMI_HOME", str(home))
            environment.delenv("MLFLOW_TRACKING_URI", raising=False)
            mlflow_client()

    database = made_once("emi-home", make) / "mlflow.db"
    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", _leave_syncing)
    return database


@pytest.fixture
def emi_home(tmp_path: Path, mlflow_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an `EMI_HOME` for this test alone, with an empty MLflow database."""
    home = tmp_path / "emi home"
    home.mkdir()
    shutil.copy(mlflow_database, home)
    monkeypatch.setenv("EMI_HOME", str(home))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return home


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[str]:
    """Return the address of an S3 server on loopback, in this process, for this session alone.

    moto's own server detects the service at every request: half of a request's time.
    """
    from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else it writes a line a request
    application = create_backend_app("s3")
    handler = MotoRequestHandler
    with make_server("127.0.0.1", 0, application, threaded=True, request_handler=handler) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


@pytest.fixture(scope="session")
def bucket_environment(bucket_server: str) -> dict[str, str]:
    """Return the environment variables with which clients find the S3 server."""
    return {
        "AWS_ENDPOINT_URL": bucket_server,
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }


@pytest.fixture(scope="session")
def make_bucket(bucket_server: str) -> Callable[[], str]:
    """Return a function that makes a new bucket and returns ``s3://NAME``."""

    def make() -> str:
        name = f"bucket-{next(BUCKET_NUMBERS)}"
        request = urllib.request.Request(f"{bucket_server}/{name}", method="PUT")
        urllib.request.urlopen(request, timeout=30).close()
        return f"s3://{name}"

    return make


@pytest.fixture(scope="session")
def put_objects(bucket_server: str) -> Callable[[str, Mapping[str, bytes]], None]:
    """Return a function that puts files below ``s3://BUCKET/...``, without a request for each."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    def put(location: str, files: Mapping[str, bytes]) -> None:
        name, _, below = location.removeprefix("s3://").partition("/")
        for file, content in files.items():
            s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(name, f"{below}/{file}", content)

    return put


@pytest.fixture
def bucket(
    make_bucket: Callable[[], str],
    bucket_environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Return ``s3://NAME`` of a new bucket, and set the environment with which clients find it."""
    for name, value in bucket_environment.items():
        monkeypatch.setenv(name, value)
    return make_bucket()


def _leave_syncing(connection: object, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")
