"""Prefect's temporary server, started while this process still loads its libraries."""

from __future__ import annotations

import os
import threading

from tasks.processes.temporary_server import TemporaryServer


def temporary_server() -> threading.Thread | None:
    """Begin to start the server that a flow without one would start.

    Returns:
        What to join before a flow begins, which then takes this server for its own. None where
        there is a server.
    """
    if os.environ.get("PREFECT_API_URL"):
        return None
    thread = threading.Thread(target=_hand_over, args=(TemporaryServer(),), daemon=True)
    thread.start()
    return thread


def _hand_over(server: TemporaryServer) -> None:
    """Give the server to Prefect, unless its settings name another or it does not start."""
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    wanted = settings.api.url is None and settings.server.ephemeral.enabled
    if not (wanted and server.wait()):
        server.stop()  # the flow does what it would have done, and its error is shown
        return
    known = SubprocessASGIServer()
    known.port, known.server_process, known.running = server.port, server.process, True
