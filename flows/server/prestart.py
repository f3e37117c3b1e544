"""Prefect's server during a command: started while this process loads its libraries, and watched.

Prefect, loaded afterwards, finds its URL in the environment: to start one itself it would load all
of its server into this process, too. Without their server, flows wait for minutes, and then end
with an error of Prefect's client.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from urllib.parse import urlsplit

from emi_model.errors import ServerError
from flows.server.events import api_url, use_temporary_server
from flows.server.own_settings import may_start_servers
from tasks.processes import ending
from tasks.processes.prefect_server import is_loopback
from tasks.processes.temporary_server import TemporaryServer

SERVER_GONE_SECONDS = 15.0
"""A server of this machine is given up after this long; `emi up` may be starting again."""

SERVER_WATCH_SECONDS = 1.0


def temporary_server() -> threading.Thread | None:
    """Begin to start the temporary server that a flow without a server would start.

    Returns:
        The thread to join before a flow begins, which then uses this server; the join raises a
        ServerError if none starts. None if ``PREFECT_API_URL`` names a server, or no temporary one
        is wanted.
    """
    if os.environ.get("PREFECT_API_URL") or not may_start_servers():
        return None
    server = TemporaryServer()
    use_temporary_server(server.api_url)
    thread = _HandOver(server)
    thread.start()
    return thread


class _HandOver(threading.Thread):
    """Waits for a server; `join` raises what kept it from answering."""

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
    """Wait until the server answers, and watch it; stop it if Prefect's settings name another.

    Raises:
        ServerError: it does not start, and neither does one with a new database, which is tried
            unless the user's environment names one.
    """
    from prefect.settings import get_current_settings

    if get_current_settings().api.url != server.api_url:  # Prefect was loaded before
        os.environ.pop("PREFECT_API_URL", None)
        server.stop()
        return
    answers = server.wait()
    if not answers and server.may_take_another_database:
        server.stop()
        server = TemporaryServer(port=server.port, new_database=True)
        answers = server.wait()
    if not answers:
        cause = server.cause()
        server.stop()
        raise ServerError(f"Prefect's temporary server does not start: {cause}")
    threading.Thread(target=_watch_temporary, args=(server,), daemon=True).start()


def watch_server() -> None:
    """End this process with a ServerError once a server of this machine no longer listens.

    Servers on other machines are not watched: networks fail for a while, and heal.
    """
    url = api_url()
    parts = urlsplit(url or "")
    if url and is_loopback(parts.hostname or "") and parts.port:
        where = (parts.hostname or "", parts.port)
        threading.Thread(target=_watch_named, args=(url, where), daemon=True).start()


def _watch_temporary(server: TemporaryServer) -> None:
    status = server.process.wait()
    if not server.stopping:
        how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
        ending.end_with(
            ServerError(
                f"Prefect's temporary server, a process of this command, has died ({how}): "
                f"{ending.GOES_ON}"
            )
        )


def _watch_named(
    url: str, where: tuple[str, int], gone_seconds: float = SERVER_GONE_SECONDS
) -> None:
    listened = time.monotonic()
    while time.monotonic() - listened < gone_seconds:
        try:
            socket.create_connection(where, SERVER_WATCH_SECONDS).close()
            listened = time.monotonic()
        except ConnectionRefusedError:
            pass
        except OSError:  # it listens, but is busy
            listened = time.monotonic()
        time.sleep(SERVER_WATCH_SECONDS)
    ending.end_with(ServerError(f"{url}: Prefect's server there has died: {ending.GOES_ON}"))
