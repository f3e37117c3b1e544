"""Events that the flows send to a Prefect server, which start its deployments.

emi.scores.committed       a run ended, with its counts            emi.store.LOCATION
emi.transcripts.committed  likewise, a run of emi transcribe       emi.store.LOCATION
emi.labels.added           a store has a new label snapshot        emi.store.LOCATION
emi.corpus.changed         a corpus has clips without a row        emi.store.LOCATION
emi.model.promoted         a model has a new champion              emi.model.NAME

A command waits until the server has answered: Prefect's own clients send from a background thread,
which a short command would end too early. Without a server nothing is sent, and Prefect is not even
imported.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flows.display.terminal import message
from tasks.processes.prefect_server import is_loopback, running_server
from tasks.schema.tables import SCORES, TRANSCRIPTS
from tasks.storage.open import is_remote, local_path

if TYPE_CHECKING:
    from tasks.registry.version import Version

COMMITTED = {table: f"emi.{table}.committed" for table in (SCORES, TRANSCRIPTS)}
"""The event of a run that ended, by the table that it was about."""

LABELS_ADDED = "emi.labels.added"
CORPUS_CHANGED = "emi.corpus.changed"
MODEL_PROMOTED = "emi.model.promoted"

PASSWORD, SERVER_PASSWORD = "PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"
"""Variables that hold ``USER:PASSWORD``, for clients and for a server."""

EVENT_TIMEOUT_SECONDS = 10.0
EVENT_RETRY_SECONDS = (0.5, 2.0)
"""Waits before the second and the third try."""

_temporary = set[str]()  # URLs of servers of this process, which nobody else asks

COUNTS = ("num_listed", "num_scored", "num_rejected", "num_skipped", "num_adopted")


def use_running_server() -> None:
    """Make this process use the server of `emi up` on this machine, unless a URL is set."""
    if "PREFECT_API_URL" not in os.environ and (note := running_server()) is not None:
        os.environ["PREFECT_API_URL"] = note.api_url
    use_servers_password()


def use_servers_password() -> None:
    """Make this process's clients use the password that servers are started with."""
    if SERVER_PASSWORD in os.environ:
        os.environ.setdefault(PASSWORD, os.environ[SERVER_PASSWORD])


def use_temporary_server(url: str) -> None:
    """Make this process, which has not loaded Prefect yet, use a server of its own."""
    os.environ["PREFECT_API_URL"] = url
    _temporary.add(url)


def api_url() -> str | None:
    """Return the URL of the server that gets events; None if there is none but a temporary one."""
    url = os.environ.get("PREFECT_API_URL") or None
    return None if url in _temporary else url


def located(reference: str | Path) -> str:
    """Return a location in the one spelling of all commands: absolute, no slash at its end."""
    reference = str(reference)
    if is_remote(reference):
        return reference.rstrip("/")
    return str(local_path(reference).expanduser().resolve())


def store_resource(place: str) -> str:
    """Return the resource id of a results store, whose place is as `located` spells it."""
    return f"emi.store.{place}"


def model_resource(name: str) -> str:
    """Return the resource id of a registered model."""
    return f"emi.model.{name}"


def rows_committed(record: Mapping[str, Any], results: str | Path) -> None:
    """Send how a run ended; ``record`` is its row of the table ``runs``."""
    counts = {name: record[name] for name in COUNTS}
    facts = {name: record[name] for name in ("run_id", "state", "model", "model_sha256")}
    emit(
        COMMITTED[record["made"]],
        store_resource(located(results)),
        {**facts, **counts, "store": located(results), "reasons": dict(record["reasons"])},
    )


def labels_added(store: str | Path, corpus: str, snapshot: str, number: int | None) -> bool:
    """Send that a store has a new label snapshot, of clips of a corpus.

    Returns:
        As `emit`.
    """
    place = located(store)
    payload = {"snapshot": snapshot, "number": number, "store": place, "corpus": located(corpus)}
    return emit(LABELS_ADDED, store_resource(place), payload)


def model_promoted(version: Version) -> None:
    """Send which version is champion now."""
    emit(
        MODEL_PROMOTED,
        model_resource(version.name),
        {
            "name": version.name,
            "version": version.number,
            "reference": version.reference,
            "sha256": version.sha256,
        },
    )


def corpus_changed(results: str | Path, corpus: str, num_new: int) -> None:
    """Send that a corpus has clips without a row in a store."""
    emit(
        CORPUS_CHANGED,
        store_resource(located(results)),
        {"store": located(results), "corpus": located(corpus), "num_new": num_new},
    )


def emit(event: str, resource: str, payload: Mapping[str, Any]) -> bool:
    """Post one event and wait for the server's answer; a failure is reported in one line.

    Returns:
        Whether a server took the event.
    """
    url = api_url()
    if url is None:
        return False
    body = [
        {
            "id": str(uuid.uuid4()),  # the server takes an id once, even if it is posted again
            "occurred": datetime.now(UTC).isoformat(),
            "event": event,
            "resource": {"prefect.resource.id": resource},
            "related": _related(),
            "payload": payload,
        }
    ]
    problem = _post(f"{url.rstrip('/')}/events", json.dumps(body).encode())
    if problem is not None:
        message(
            f"{url} did not take the event {event} ({problem}): what it would start does not start"
        )
    return problem is None


def _post(url: str, body: bytes) -> str | None:
    """Post a body, up to three times if that may help; return the last problem, None on success."""
    import httpx  # slow to load, and a command that sends nothing does not need it

    headers = {"Content-Type": "application/json", **_authorization()}
    here = is_loopback(urlsplit(url).hostname or "")
    problem = "no answer"
    for wait in (0.0, *EVENT_RETRY_SECONDS):
        time.sleep(wait)
        try:
            direct = httpx.HTTPTransport() if here else None  # given one, httpx asks no proxy
            with httpx.Client(transport=direct, timeout=EVENT_TIMEOUT_SECONDS) as client:
                answer = client.post(url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError) as error:
            problem = str(error) or type(error).__name__
            continue
        if answer.is_success:
            return None
        problem = f"HTTP {answer.status_code} {answer.reason_phrase}"
        if answer.status_code < 500:
            break
    return problem


def _authorization() -> dict[str, str]:
    password = os.environ.get(PASSWORD)
    key = os.environ.get("PREFECT_API_KEY")
    if password:
        return {"Authorization": f"Basic {base64.b64encode(password.encode()).decode()}"}
    return {"Authorization": f"Bearer {key}"} if key else {}


def _related() -> list[dict[str, str]]:
    """Return the flow run that this process is in, if any, as the event's related resource."""
    if "prefect" not in sys.modules:
        return []
    from prefect.runtime import flow_run

    run = {"prefect.resource.id": f"prefect.flow-run.{flow_run.id}"}
    return [run | {"prefect.resource.role": "flow-run"}] if flow_run.id else []
