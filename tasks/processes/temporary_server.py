"""Prefect's temporary server as a child process, begun before anything of Prefect is loaded here.

Prefect starts one for a flow without a server, once its own client and server code is loaded; that
load and the server's start take as long as each other, and here run side by side.
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
from emi_model.loading import loading
with loading():
    import prefect.server.api.server
    import uvicorn
uvicorn.main()
"""
MARKS = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}
"""By which Prefect tells its server that it serves one process (SubprocessASGIServer)."""

SERVER_POLL_SECONDS = 0.05
TEMPORARY_STOP_SECONDS = 5.0


class TemporaryServer:
    """The server; it is stopped when this process ends in order.

    Attributes:
        port: where it listens.
        process: the child.
    """

    def __init__(self) -> None:
        """Start it; it does not answer yet.

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
        """Wait until it answers; returns False where it ended, or takes too long."""
        until = time.monotonic() + START_SECONDS
        while not answers(f"http://{HOST}:{self.port}/api/health"):
            if self.process.poll() is not None or time.monotonic() > until:
                return False
            time.sleep(SERVER_POLL_SECONDS)
        return True

    def stop(self) -> None:
        """End it, in order if it does so soon."""
        end(self.process, TEMPORARY_STOP_SECONDS)
