"""The Prefect server of `emi up`: a child process, and a file by which other commands find it."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path

from emi_model.errors import ServerError
from tasks.home import home
from tasks.processes.surroundings import NEUTRAL_FOLDER
from tasks.storage.local import LocalFolder
from tasks.storage.locks import process_start

NOTE = "server.json"
START_SECONDS = 180.0
"""The first start makes the database, which takes long on a slow disk."""

STOP_SECONDS = 15.0
RETENTION_SECONDS = 90 * 24 * 3600
"""How long flow runs and their logs are kept; the watch alone makes 52,000 runs a year."""

LEASES = "prefect.server.concurrency.lease_storage"
SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # Below the address in the browser, which may be that of a tunnel, or this machine's name.
    "PREFECT_SERVER_UI_API_URL": "/api",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # On disk: leases in memory are lost with the server, and their slots stay taken for ever.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": f"{LEASES}.filesystem",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(RETENTION_SECONDS),
}
"""Environment of the server; variables that are set already stay."""


@dataclass(frozen=True)
class Note:
    """What `emi up` writes to `NOTE` for other commands.

    Attributes:
        url: of the UI, without a slash at its end.
        pid: of the process of `emi up`.
        started: when that process started, in the system's own ticks; tells a reused pid apart.
        machine: name of the machine that it runs on; several may share a home.
    """

    url: str
    pid: int
    started: str
    machine: str

    @property
    def api_url(self) -> str:
        """Return the URL of the server's API."""
        return f"{self.url}/api"

    def is_alive(self) -> bool:
        """Return whether that process still runs on this machine."""
        return self.machine == platform.node() and self.started == process_start(self.pid) != ""

    @classmethod
    def of_this_process(cls, url: str) -> Note:
        """Return the note of a server that this process runs."""
        return cls(url, os.getpid(), process_start(os.getpid()), platform.node())


def running_server() -> Note | None:
    """Return the note in this `EMI_HOME` if its server runs on this machine, else None."""
    try:
        note = Note(**json.loads((home() / NOTE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return note if note.is_alive() else None


def write_note(note: Note) -> None:
    """Write the note to this `EMI_HOME`."""
    LocalFolder(home()).write(NOTE, json.dumps(asdict(note)).encode())


def remove_note() -> None:
    """Remove the note from this `EMI_HOME`."""
    LocalFolder(home()).remove(NOTE)


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is one that only this machine reaches."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def free_port(host: str, port: int) -> int:
    """Return the port if a server can listen on it; for port 0, one that is free.

    Raises:
        ServerError: the port is taken, or the host is no address of this machine.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            return int(listener.getsockname()[1])
    except OSError as error:
        raise ServerError(
            f"port {port} of {host} cannot be listened on ({error.strerror}): end what listens "
            "there, or choose another with --port (0: any that is free)"
        ) from error


def server_url(host: str, port: int) -> str:
    """Return the URL by which this machine reaches a server that listens on a host's port."""
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class PrefectServer:
    """A Prefect server as a child process; a context manager that stops it.

    Attributes:
        url: of the UI.
    """

    def __init__(self, host: str, port: int, log: Path) -> None:
        """Start the server.

        Args:
            host: address to listen on.
            port: a free one, as `free_port` returns it.
            log: file for the server's output.
        """
        self.url = server_url(host, port)
        self._log = log
        command = [sys.executable, "-P", "-m", "prefect", "server", "start"]
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [*command, "--host", host, "--port", str(port), "--log-level", "WARNING"],
                env={**SETTINGS, **os.environ, "PREFECT_API_URL": f"{self.url}/api"},
                cwd=NEUTRAL_FOLDER,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,  # Ctrl-C only reaches `emi up`, which ends runs first
            )

    def __enter__(self) -> PrefectServer:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()

    def wait(self, on_wait: Callable[[float], None]) -> None:
        """Wait until the server answers.

        Args:
            on_wait: called every quarter of a second with the seconds waited.

        Raises:
            ServerError: the server ended, or does not answer.
        """
        began = time.monotonic()
        while not answers(f"{self.url}/api/health"):
            waited = time.monotonic() - began
            self.check()
            if waited > START_SECONDS:
                raise ServerError(
                    f"Prefect's server does not answer after {waited:.0f} s: see {self._log}"
                )
            on_wait(waited)
            time.sleep(0.25)

    def check(self) -> None:
        """Raise a ServerError if the server has ended."""
        code = self._process.poll()
        if code is not None:
            raise ServerError(f"Prefect's server ended with exit code {code}: see {self._log}")

    def stop(self) -> None:
        """End the server: by SIGTERM, or by SIGKILL some seconds later."""
        end(self._process, STOP_SECONDS)


def end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """End a process by SIGTERM, or by SIGKILL if it still runs some seconds later."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    """Return whether a URL gives status 200; urllib loads in a fifth of httpx's time."""
    import urllib.request  # commands that only read the note do not load it

    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
