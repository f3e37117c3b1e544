"""Prefect's temporary server as a child process, started before this process loads Prefect.

Prefect starts such a server for a flow without one, but only after loading its own client and
server code. The load takes as long as the server's start; here both happen at the same time.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from emi_model.errors import ServerError
from tasks.processes.prefect_server import START_SECONDS, answers, end, free_port
from tasks.processes.server_database import ServerDatabase
from tasks.processes.surroundings import NEUTRAL_FOLDER

HOST = "127.0.0.1"
APPLICATION = "prefect.server.api.server:create_app"
SERVE = """
import sys
from emi_model.loading import without_gc
with without_gc():
    import prefect.server.api.server
    import uvicorn
app, host, port = sys.argv[1:]
options = {"factory": True, "workers": 1, "log_level": "error", "lifespan": "on"}
uvicorn.run(app, host=host, port=int(port), **options)
"""
"""Uvicorn's command would put the current folder on Python's path."""

MARKS = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}
"""By these Prefect's SubprocessASGIServer makes a server serve one process."""

SERVER_POLL_SECONDS = 0.05
TEMPORARY_STOP_SECONDS = 5.0
MAX_CAUSE_CHARS = 300
_ERROR = re.compile(r"[\w.]*(Error|Exception): .")


class TemporaryServer:
    """A temporary server; it is stopped when this process ends in order.

    Attributes:
        port: that it listens on.
        process: the server's process.
        may_take_another_database: the user's environment names none.
        stopping: whether its end is wanted.
    """

    def __init__(self, *, port: int = 0, new_database: bool = False) -> None:
        """Start the server; it does not answer yet.

        Args:
            port: to listen on; 0: any that is free.
            new_database: let it take a new database, in a temporary folder.

        Raises:
            ServerError: no port is free, or no folder can be written.
        """
        self.port, self.stopping = free_port(HOST, port), False
        try:
            self._database = ServerDatabase(new=new_database)
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - read when it ends
        except OSError as error:
            raise ServerError(
                f"found no folder for Prefect's database ({error}): set EMI_HOME or TMPDIR to one "
                "that can be written"
            ) from error
        self.may_take_another_database = bool(self._database.variables)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", SERVE, APPLICATION, HOST, str(self.port)],
            env={**os.environ, **self._database.variables, **MARKS},
            cwd=NEUTRAL_FOLDER,
            stdin=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C only reaches the command, which still reports its end
        )
        atexit.register(self.stop)

    @property
    def api_url(self) -> str:
        """The URL of its API."""
        return f"http://{HOST}:{self.port}/api"

    def wait(self) -> bool:
        """Wait until the server answers; return False if it ended or takes too long."""
        until = time.monotonic() + START_SECONDS
        while not answers(f"{self.api_url}/health"):
            if self.process.poll() is not None or time.monotonic() > until:
                return False
            time.sleep(SERVER_POLL_SECONDS)
        return True

    def cause(self) -> str:
        """Return the last error that the server wrote: its line in a traceback, else a log line."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").splitlines()
        written = [line.strip() for line in lines if line.strip()]
        errors = [line for line in written if _ERROR.match(line)]
        return (errors or written or ["it wrote nothing"])[-1][:MAX_CAUSE_CHARS]

    def stop(self) -> None:
        """End the server: by SIGTERM, or by SIGKILL some seconds later."""
        self.stopping = True
        end(self.process, TEMPORARY_STOP_SECONDS)
        self._errors.seek(0)
        shutil.copyfileobj(self._errors, sys.stderr.buffer)  # which is a run's log
        self._errors.truncate(0)
        self._database.remove()
