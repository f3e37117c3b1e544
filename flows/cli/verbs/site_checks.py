"""What `emi up` checks before it starts anything."""

from __future__ import annotations

import os
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


def check_places(setup: Setup) -> None:
    """Check that what runs read is there, and make the stores that they write."""
    from tasks.corpus.listing import check_place
    from tasks.store.store import create_store

    for place in filter(None, (setup.corpus, setup.label_inbox)):
        check_place(place)
    for place in {setup.results, setup.labels}:
        create_store(place)
