"""One line for each run that a server starts: when it ended, what it was, and how it ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import PrefectHTTPStatusError

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

MAX_LINE_CHARS = 200


class RunLines:
    """Reads from the server which runs have ended since the last call."""

    def __init__(self) -> None:
        """Begin with the runs that end from now on."""
        self._since = datetime.now(UTC)
        self._shown: set[UUID] = set()

    def new(self) -> list[str]:
        """Return a line for each run that has ended; none if the server does not answer."""
        ended = FlowRunFilter.model_validate({"end_time": {"after_": self._since}})
        try:
            with get_client(sync_client=True) as client:
                # a server returns 200 runs at most: unsorted, those that were scheduled last
                runs = client.read_flow_runs(flow_run_filter=ended, sort=FlowRunSort.END_TIME_DESC)
        except (httpx.HTTPError, PrefectHTTPStatusError, OSError):
            return []  # whoever runs the server notices if it is gone
        new = [run for run in runs if run.id not in self._shown and run.end_time is not None]
        self._shown.update(run.id for run in new)
        return [line_of(run) for run in sorted(new, key=lambda run: str(run.end_time))]


def line_of(run: FlowRun) -> str:
    """Return a run's end in one line, as ``02:16 clips with emi/1: completed, 35 s: ...``."""
    ended = f"{run.end_time.astimezone():%H:%M} " if run.end_time is not None else ""
    state = (run.state_name or "ended").lower()
    seconds = run.total_run_time.total_seconds()
    said = run.state.message if run.state is not None else None
    line = f"{ended}{run.name}: {state}, {seconds:.0f} s" + (f": {said}" if said else "")
    line = " ".join(line.split())
    return line if len(line) <= MAX_LINE_CHARS else f"{line[: MAX_LINE_CHARS - 3]}..."
