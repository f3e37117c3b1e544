"""News of work on the cluster: an actor between the workers and whoever waits for them."""

from __future__ import annotations

from typing import Any


class ReportMailbox:
    """Takes what workers say and gives it on."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._reports: list[dict[str, Any]] = []
        self._failure: str | None = None

    def report(self, report: dict[str, Any]) -> None:
        """Take the report of an epoch."""
        self._reports.append(report)

    def fail(self, message: str) -> None:
        """Take what ended the training, in one line, unless another worker has said so before."""
        self._failure = self._failure or message

    def take(self) -> tuple[list[dict[str, Any]], str | None]:
        """Give the reports that nobody has taken yet, and what ended the training."""
        reports, self._reports = self._reports, []
        return reports, self._failure
