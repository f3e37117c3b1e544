"""The Prefect server of `emi up`: a child process, and the note by which other commands find it."""

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
from tasks.storage.local import LocalFolder

NOTE = "server.json"
START_SECONDS = 180.0
"""A slow disk makes the first start long: the database is made then."""

STOP_SECONDS = 15.0
RETENTION_SECONDS = 90 * 24 * 3600
"""Flow runs and their logs are kept so long; the watch alone makes 52,000 runs a year."""

LEASES = "prefect.server.concurrency.lease_storage"
SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # On disk: leases in memory are lost with the server, and their slots stay taken for ever.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": f"{LEASES}.filesystem",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(RETENTION_SECONDS),
}
"""Of the server, unless the environment says otherwise."""


@dataclass(frozen=True)
class Note:
    """What `emi up` writes down for other commands.

    Attributes:
        url: of the UI, without a slash at its end.
        pid: the process of `emi up`.
        started: when that process started, in the system's own ticks; tells a reused pid apart.
        machine: where it runs; homes may be shared.
    """

    url: str
    pid: int
    started: str
    machine: str

    @property
    def api_url(self) -> str:
        """Return what clients of Prefect call."""
        return f"{self.url}/api"

    def is_alive(self) -> bool:
        """Tell whether that process still runs, on this machine."""
        return self.machine == platform.node() and self.started == _started(self.pid) != ""

    @classmethod
    def of_this_process(cls, url: str) -> Note:
        """Return the note of a server that this process answers for."""
        return cls(url, os.getpid(), _started(os.getpid()), platform.node())


def running_server() -> Note | None:
    """Return the note of the server of this `EMI_HOME`; None if none runs on this machine."""
    try:
        note = Note(**json.loads((home() / NOTE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return note if note.is_alive() else None


def write_note(note: Note) -> None:
    """Leave the note."""
    LocalFolder(home()).write(NOTE, json.dumps(asdict(note)).encode())


def remove_note() -> None:
    """Take the note away."""
    LocalFolder(home()).remove(NOTE)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches a server that listens there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def free_port(host: str, port: int) -> int:
    """Return the port if a server can listen there; for 0 one that is free.

    Raises:
        ServerError: the port is taken, or the host is none of this machine.
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
    """Return the URL by which this machine reaches a server that listens there."""
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class PrefectServer:
    """A Prefect server as a child process; a context manager that stops it.

    Attributes:
        url: of the UI.
    """

    def __init__(self, host: str, port: int, log: Path) -> None:
        """Start it.

        Args:
            host: address to listen on.
            port: free one, as `free_port` finds it.
            log: file for what it says.
        """
        self.url = server_url(host, port)
        self._log = log
        command = [sys.executable, "-m", "prefect", "server", "start"]
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [*command, "--host", host, "--port", str(port), "--log-level", "WARNING"],
                env={**SETTINGS, **os.environ, "PREFECT_API_URL": f"{self.url}/api"},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,  # Ctrl-C is for `emi up`, which ends what runs first
            )

    def __enter__(self) -> PrefectServer:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def wait(self, say: Callable[[float], None]) -> None:
        """Wait until it answers.

        Args:
            say: told now and then of the seconds waited.

        Raises:
            ServerError: it ended, or does not answer.
        """
        began = time.monotonic()
        while not answers(f"{self.url}/api/health"):
            waited = time.monotonic() - began
            self.check()
            if waited > START_SECONDS:
                raise ServerError(
                    f"Prefect's server does not answer after {waited:.0f} s: see {self._log}"
                )
            say(waited)
            time.sleep(0.25)

    def check(self) -> None:
        """Raise a ServerError if it has ended."""
        code = self._process.poll()
        if code is not None:
            raise ServerError(f"Prefect's server ended with exit code {code}: see {self._log}")

    def stop(self) -> None:
        """End it, in order if it does so soon."""
        end(self._process, STOP_SECONDS)


def end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """End a process: in order if it does so within some seconds, else at once."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    """Tell whether a server answers at a URL."""
    import urllib.request  # commands that only look for the note do not wait for it

    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _started(pid: int) -> str:
    """Return when a process started; empty: there is none; a constant: the system does not say."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]
