"""What `emi up` checks before it starts anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from emi_model.errors import ServerError

if TYPE_CHECKING:
    from flows.server.deployments import Setup


def check_alone(host: str) -> None:
    """Check that no other server runs or is named, and that this one is not open to everyone."""
    from flows.server.events import SERVER_PASSWORD
    from tasks.processes.prefect_server import is_loopback, running_server

    note = running_server()
    if note is not None:
        raise ServerError(f"`emi up` runs already: {note.url} (process {note.pid})")
    elsewhere = os.environ.get("PREFECT_API_URL")
    if elsewhere:
        raise ServerError(
            f"PREFECT_API_URL names a server, {elsewhere}: `emi deploy` registers there; unset it "
            "to start one here"
        )
    if not is_loopback(host) and not os.environ.get(SERVER_PASSWORD):
        raise ServerError(
            f"on {host} anyone who reaches this machine could start runs: set {SERVER_PASSWORD}="
            "USER:PASSWORD, or keep to 127.0.0.1"
        )


@contextmanager
def only_site() -> Iterator[None]:
    """Let no other `emi up` use this `EMI_HOME` during the block, on no machine that shares it.

    Two servers would change one database, and each take the other's runs for crashed.
    """
    from tasks.home import home
    from tasks.storage.locks import LockHeld, file_lock

    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(home() / ".up", wait=False))
        except LockHeld as error:
            raise ServerError(
                f"another `emi up` uses {home()}{error.who}, on this machine or on one that shares "
                "the folder: end it, or set EMI_HOME to another folder"
            ) from error
        yield


def check_places(setup: Setup) -> None:
    """Check that what runs read is there, and make the stores that they write."""
    from tasks.corpus.listing import check_place
    from tasks.store.store import create_store

    for place in filter(None, (setup.corpus, setup.label_inbox)):
        check_place(place)
    for place in {setup.results, setup.labels}:
        create_store(place)
