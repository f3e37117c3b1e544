"""One Prefect server for all tests, whichever process of pytest-xdist runs them.

A server takes 5 s of CPU to start, as long to make its tables, and then 1 s a minute.
"""

import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from tasks.processes.prefect_server import START_SECONDS, answers
from tasks.processes.server_database import DATABASE_FILE, DATABASE_VARIABLES, prefect_folder
from tasks.processes.temporary_server import TemporaryServer


class StartedServer:
    """A server that this process started; it does not answer yet.

    Attributes:
        url: of its API.
        database: its file.
    """

    def __init__(self):
        self._folder = Path(tempfile.mkdtemp(prefix="emi-served-"))
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("EMI_HOME", str(self._folder))
            environment.setenv("PREFECT_HOME", str(self._folder))
            for name in DATABASE_VARIABLES:
                environment.delenv(name, raising=False)
            self._server = TemporaryServer()
            self.database = prefect_folder() / DATABASE_FILE
        self.url = self._server.api_url

    def wait(self):
        """Wait until it answers."""
        assert self._server.wait(), self._server.cause()

    def stop(self):
        self._server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def wait_for_server(url):
    """Wait until a server answers that another process started."""
    deadline = time.monotonic() + START_SECONDS
    while not answers(f"{url}/health"):
        assert time.monotonic() < deadline, f"no Prefect server at {url}"
        time.sleep(0.1)


def copy_database(source, target):
    """Copy a database that a server uses."""
    with closing(sqlite3.connect(source)) as used, closing(sqlite3.connect(target)) as copy:
        used.backup(copy)
