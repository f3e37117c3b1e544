"""Prefect's temporary server, started while this process still loads its libraries."""

from __future__ import annotations

import os
import threading
from contextlib import suppress


def temporary_server() -> threading.Thread | None:
    """Begin to start the server that a flow without one would start.

    Loading PyTorch and Ray takes as long as the server needs: beside each other they take half.

    Returns:
        What to join before a flow begins, which takes a server that is starting for one that has
        started; Prefect's own time limit ends it. None where there is a server.
    """
    if os.environ.get("PREFECT_API_URL"):
        return None
    thread = threading.Thread(target=_start, daemon=True)
    thread.start()
    return thread


def _start() -> None:
    import httpx
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import get_current_settings

    if get_current_settings().api.url is None:
        # the flow tries again, and its error is shown
        with suppress(RuntimeError, OSError, httpx.HTTPError):
            SubprocessASGIServer().start()
