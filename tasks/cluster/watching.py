"""Watches Ray's own processes, whose death Ray would end this process for, a minute later."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

from ray._private import services

from emi_model.errors import ClusterError
from tasks.processes import ending

NEEDED = {"gcs_server": "head process (gcs_server)", "raylet": "node process (raylet)"}
"""Ray's processes without which nothing goes on, and how messages name them."""

WATCH_SECONDS = 0.5
CONNECT_SECONDS = 3.0
GONE_SECONDS = 20.0
"""A head on another machine is given up after this long: its network may be slow."""


@contextmanager
def watched_ray(problem: Callable[[], str | None]) -> Iterator[None]:
    """End this process with a ClusterError if there is a problem during the block.

    Args:
        problem: called twice a second in another thread; returns what is wrong, or None.
    """
    done = threading.Event()

    def watch() -> None:
        while not done.wait(WATCH_SECONDS):
            found = problem()
            if found is not None and not done.is_set():
                ending.end_with(ClusterError(found))
                return

    watching = threading.Thread(target=watch, daemon=True, name="emi-watch-ray")
    watching.start()
    try:
        yield
    finally:
        done.set()


class OwnProcesses:
    """The processes that `ray.init` starts on this machine."""

    def __init__(self) -> None:
        """Start without processes."""
        self._started: list[Any] = []

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Let Ray start them in sessions of their own, where no key of the terminal acts."""
        plain = services.ConsolePopen

        def start(command: Any, **options: Any) -> Any:
            self._started.append(plain(command, start_new_session=True, **options))
            return self._started[-1]

        services.ConsolePopen = start  # type: ignore
        try:
            yield
        finally:
            services.ConsolePopen = plain  # type: ignore

    def dead(self) -> str | None:
        """Return which of them has died, of those without which nothing goes on; or None."""
        for process in self._started:
            name = NEEDED.get(PurePath(process.args[0]).name)
            status = process.poll() if name else None
            if status is not None:
                how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
                return (
                    f"Ray's {name} on this machine has died ({how}): {ending.GOES_ON}; if it dies "
                    "again, look whether the memory suffices"
                )
        return None


class LostHead:
    """Tells whether the head of a joined cluster has not answered for some time."""

    def __init__(self, address: str, gone_seconds: float = GONE_SECONDS) -> None:
        """Watch the head at ``HOST:PORT``."""
        self._address, self._gone_seconds = address, gone_seconds
        self._answered = time.monotonic()

    def __call__(self) -> str | None:
        """Connect to it; return that it is gone, or None."""
        host, _, port = self._address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
        except OSError as error:
            gone = time.monotonic() - self._answered
            if gone < self._gone_seconds:
                return None
            return (
                f"{self._address}: the head of the Ray cluster has not answered for {gone:.0f} s "
                f"({error}): {ending.GOES_ON} once the cluster runs again"
            )
        self._answered = time.monotonic()
        return None
