"""Prefect's temporary server, started while this process still loads its libraries."""

from __future__ import annotations

import os
import threading

from tasks.processes.temporary_server import TemporaryServer


def temporary_server() -> threading.Thread | None:
    """Begin to start the temporary server that a flow without a server would start.

    Returns:
        The thread to join before a flow begins, which then uses this server. None if
        ``PREFECT_API_URL`` names a server.
    """
    if os.environ.get("PREFECT_API_URL"):
        return None
    thread = threading.Thread(target=_hand_over, args=(TemporaryServer(),), daemon=True)
    thread.start()
    return thread


def _hand_over(server: TemporaryServer) -> None:
    """Make Prefect use the server, unless its settings name another or it does not start."""
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    wanted = settings.api.url is None and settings.server.ephemeral.enabled
    if not (wanted and server.wait()):
        server.stop()  # the flow starts its own server, and shows the error if that fails
        return
    prefects = SubprocessASGIServer()  # the one instance of this process
    prefects.port, prefects.server_process, prefects.running = server.port, server.process, True
