"""Prefect's temporary server, started while this process still loads its libraries."""

from __future__ import annotations

import os
import threading

from emi_model.errors import ServerError
from tasks.processes.temporary_server import TemporaryServer


def temporary_server() -> threading.Thread | None:
    """Begin to start the temporary server that a flow without a server would start.

    Returns:
        The thread to join before a flow begins, which then uses this server; the join raises a
        ServerError if none starts. None if ``PREFECT_API_URL`` names a server.
    """
    if os.environ.get("PREFECT_API_URL"):
        return None
    thread = _HandOver(TemporaryServer())
    thread.start()
    return thread


class _HandOver(threading.Thread):
    """Hands a server over to Prefect; `join` raises what kept it from that."""

    def __init__(self, server: TemporaryServer) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._failure: ServerError | None = None

    def run(self) -> None:
        try:
            _hand_over(self._server)
        except ServerError as failure:
            self._failure = failure

    def join(self, timeout: float | None = None) -> None:
        super().join(timeout)
        if self._failure is not None:
            raise self._failure


def _hand_over(server: TemporaryServer) -> None:
    """Make Prefect use the server, unless its settings name another.

    Raises:
        ServerError: it does not start, and neither does one with a new database, which is tried
            unless the user's environment names one.
    """
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    if settings.api.url is not None or not settings.server.ephemeral.enabled:
        server.stop()
        return
    answers = server.wait()
    if not answers and server.may_take_another_database:
        server.stop()
        server = TemporaryServer(new_database=True)
        answers = server.wait()
    if not answers:
        cause = server.cause()
        server.stop()
        raise ServerError(f"Prefect's temporary server does not start: {cause}")
    prefects = SubprocessASGIServer()  # the one instance of this process
    prefects.port, prefects.server_process, prefects.running = server.port, server.process, True
