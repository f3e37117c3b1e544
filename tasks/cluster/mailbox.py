"""Reports of workers on the cluster: an actor keeps them until the driver takes them."""

from __future__ import annotations

from typing import Any


class ReportMailbox:
    """Keeps the reports of workers, and the first failure, for the driver."""

    def __init__(self) -> None:
        """Start without a report."""
        self._reports: list[dict[str, Any]] = []
        self._failure: str | None = None

    def report(self, report: dict[str, Any]) -> None:
        """Add the report of an epoch."""
        self._reports.append(report)

    def fail(self, message: str) -> None:
        """Keep the one line that says what ended the training, unless another worker gave one."""
        self._failure = self._failure or message

    def take(self) -> tuple[list[dict[str, Any]], str | None]:
        """Return the reports since the last call, and what ended the training, if anything did."""
        reports, self._reports = self._reports, []
        return reports, self._failure
