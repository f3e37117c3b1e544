"""Prefect's server during a command: started while this process loads its libraries, and watched.

Without their server, flows wait for minutes, and then end with an error of Prefect's client.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from urllib.parse import urlsplit

from emi_model.errors import ServerError
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
    threading.Thread(target=_watch_temporary, args=(server,), daemon=True).start()
    prefects = SubprocessASGIServer()  # the one instance of this process
    prefects.port, prefects.server_process, prefects.running = server.port, server.process, True


def watch_server() -> None:
    """End this process with a ServerError once a server of this machine no longer listens.

    Servers on other machines are not watched: networks fail for a while, and heal.
    """
    url = os.environ.get("PREFECT_API_URL")
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
