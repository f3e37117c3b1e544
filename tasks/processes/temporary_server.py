"""Prefect's temporary server as a child process, started before this process loads Prefect.

Prefect starts such a server for a flow without one, but only after loading its own client and
server code. The load takes as long as the server's start; here both happen at the same time.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import time

from tasks.processes.prefect_server import START_SECONDS, answers, end, free_port

HOST = "127.0.0.1"
APPLICATION = "prefect.server.api.server:create_app"
SERVE = """
from emi_model.loading import without_gc
with without_gc():
    import prefect.server.api.server
    import uvicorn
uvicorn.main()
"""
MARKS = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}
"""By these Prefect's SubprocessASGIServer makes a server serve one process."""

SERVER_POLL_SECONDS = 0.05
TEMPORARY_STOP_SECONDS = 5.0


class TemporaryServer:
    """A temporary server; it is stopped when this process ends in order.

    Attributes:
        port: that it listens on.
        process: the server's process.
    """

    def __init__(self) -> None:
        """Start the server; it does not answer yet.

        Raises:
            ServerError: no port is free.
        """
        self.port = free_port(HOST, 0)
        where = ["--host", HOST, "--port", str(self.port)]
        quiet = ["--log-level", "error", "--lifespan", "on"]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", SERVE, "--factory", APPLICATION, *where, *quiet],
            env={**os.environ, **MARKS},
            stdin=subprocess.DEVNULL,
        )
        atexit.register(self.stop)

    def wait(self) -> bool:
        """Wait until the server answers; return False if it ended or takes too long."""
        until = time.monotonic() + START_SECONDS
        while not answers(f"http://{HOST}:{self.port}/api/health"):
            if self.process.poll() is not None or time.monotonic() > until:
                return False
            time.sleep(SERVER_POLL_SECONDS)
        return True

    def stop(self) -> None:
        """End the server: by SIGTERM, or by SIGKILL some seconds later."""
        end(self.process, TEMPORARY_STOP_SECONDS)
