"""Prefect's temporary server, started while this process still loads its libraries."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

HEAVY_START_SECONDS = 60.0
"""No longer than this is waited for it; a flow then starts one itself, and says what is wrong."""


def temporary_server() -> threading.Thread | None:
    """Begin to start the server that a flow without one would start; join the thread before flows.

    Loading PyTorch and Ray takes as long as the server needs: beside each other they take half.
    None where there is a server.
    """
    if os.environ.get("PREFECT_API_URL"):
        return None
    thread = threading.Thread(target=_start, daemon=True)
    thread.start()
    return thread


def _start() -> None:
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import get_current_settings

    if get_current_settings().api.url is None:
        with suppress(Exception):  # the flow tries again, and its error is shown
            SubprocessASGIServer().start()
