"""Artifacts in Prefect's UI: the progress of a flow while it runs, and its results.

They are only made on a server that outlives the flow; the temporary one ends with it. If a server
refuses an artifact, that is logged, and the flow goes on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flows.display.numbers import format_interval, format_number
from flows.server.events import api_url
from flows.server.run_log import Several, outcome
from tasks.progress import Observer, observed_by, observer

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from tasks.evaluation.report import EvaluationReport
    from tasks.labels.inbox import NewFile
    from tasks.training.new_version import NewVersion

_LOGGER = logging.getLogger(__name__)

UPDATE_SECONDS = 5.0
"""Time between two updates of the progress artifact."""

CLOSE_SECONDS = 10.0

PICTURE_DPI = 80
"""Of the picture in an artifact: it is kept in the server's database."""


class ProgressArtifact(Observer):
    """An observer that keeps the progress artifact of a flow run current; a context manager.

    A thread of its own sends updates, so that a slow server does not delay the work.
    """

    def __init__(self, flow_run_id: UUID) -> None:
        """Prepare the artifact of a flow run."""
        self._flow_run_id = flow_run_id
        self._stage = self._unit = self._note = ""
        self._total: int | None = None
        self._done = 0
        self._artifact_id: UUID | None = None
        self._shown: tuple[float, str] | None = None
        self._closing = threading.Event()
        self._sender = threading.Thread(target=copy_context().run, args=(self._send,), daemon=True)

    def __enter__(self) -> ProgressArtifact:
        """Start to send updates."""
        self._sender.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Send a last update; it says done unless there was an error."""
        if kind is None:
            self._stage, self._total, self._done, self._note = "done", None, 0, ""
        self._closing.set()
        self._sender.join(CLOSE_SECONDS)

    def begin(self, stage: str, total: int | None, unit: str) -> None:
        """Show the beginning of a stage."""
        self._stage, self._total, self._unit = stage, total, unit
        self._done, self._note = 0, ""

    def advance(self, num_done: int, note: str = "") -> None:
        """Show that more units are done."""
        self._done += num_done
        self._note = note.strip(" ·")

    def reached(self, num_done: int, total: int) -> None:
        """Show the number of units that are done."""
        self._done, self._total = num_done, total

    def _now(self) -> tuple[float, str]:
        """Return the share that is done, in percent, and a line about it."""
        done, total = self._done, self._total
        share = min(100.0, 100 * done / total) if total else 100.0 * (self._stage == "done")
        counted = f"{done} of {total} {self._unit}" if total else ""
        return share, " · ".join(filter(None, [self._stage, counted, self._note]))

    def _send(self) -> None:
        from prefect.client.orchestration import get_client

        with get_client(sync_client=True) as client:
            while not self._closing.wait(UPDATE_SECONDS):
                _tried(lambda: self._update(client))
            _tried(lambda: self._update(client))

    def _update(self, client: SyncPrefectClient) -> None:
        now = self._now()
        if now == self._shown:
            return
        content = {"data": now[0], "description": now[1]}
        if self._artifact_id is None:
            new = {"type": "progress", "key": "progress", "flow_run_id": str(self._flow_run_id)}
            answer = client.request("POST", "/artifacts/", json=new | content)
            self._artifact_id = UUID(answer.json()["id"])
        else:  # not by the client's own method, which emits an event every time
            path = {"id": self._artifact_id}
            client.request("PATCH", "/artifacts/{id}", json=content, path_params=path)
        self._shown = now


@contextmanager
def shown_in_ui() -> Iterator[None]:
    """Show the progress of this context's flow run, in addition to the present observer."""
    from prefect.runtime import flow_run

    if api_url() is None or flow_run.id is None:
        yield
        return
    with (
        ProgressArtifact(UUID(flow_run.id)) as progress,
        observed_by(Several(observer(), progress)),
    ):
        yield


def show_run(record: Mapping[str, Any]) -> None:
    """Show a run's counts, and its rejections by reason."""
    names = ("num_listed", "num_scored", "num_rejected", "num_skipped", "num_adopted")
    counts = [{"what": name.removeprefix("num_"), "clips": record[name]} for name in names]
    hours = record["audio_seconds"] / 3600
    description = (
        f"{record['model']}, run {record['run_id']}: {record['state']}, {hours:.2f} hours of audio "
        f"in {record['wall_seconds']:.0f} s"
    )
    outcome(
        f"{record['num_listed']} clips: {record['num_scored']} scored, {record['num_rejected']} "
        f"rejected, {record['num_skipped']} skipped, by {record['model']}"
    )
    _table("run-counts", counts, description)
    rejections = sorted(record["reasons"].items(), key=lambda reason: -reason[1])
    if rejections:
        rows = [{"reason": reason, "clips": count} for reason, count in rejections]
        _table("run-rejections", rows, f"rejected clips, run {record['run_id']}")


def show_version(made: NewVersion) -> None:
    """Show how well a newly trained version follows its validation labels, if it was measured."""
    outcome(f"{made.version.reference}: " + ("trained" if made.trained else "was trained before"))
    if made.report is not None:
        show_report(made.report, f"{made.version.name}: a new version")


def show_report(report: EvaluationReport, heading: str) -> None:
    """Show how well a model's scores agree with labels, in figures and in a picture."""
    mean = report.evaluation.mean.pearson
    line = f"{heading}: mean Pearson {_interval(mean)} on {report.evaluation.num_clips} clips"
    outcome(line)
    if api_url() is None:
        return
    picture = f"![scores over labels]({_drawn(report)})"
    text = "\n\n".join([f"## {heading}", evaluation_markdown(report), picture])
    _markdown("evaluation", text, line)


def show_decision_artifact(row: Mapping[str, Any]) -> None:
    """Show whether a challenger became champion, and why."""
    verdict = "promoted" if row["promoted"] else "the champion stays"
    line = f"{row['name']}: {verdict}: {row['reason']}"
    outcome(line)
    _markdown("decision", decision_markdown(row), line)


def show_label_files(files: Sequence[NewFile]) -> None:
    """Show which label files a watch took, and which it refused."""
    rows = [{"file": one.name, "outcome": one.outcome, "said": one.said} for one in files]
    if rows:
        _table("label-files", rows, "label files that were new")


def evaluation_markdown(report: EvaluationReport) -> str:
    """Return an evaluation's figures, a row for each target, and the clips they are from."""
    mean = report.evaluation.mean.pearson
    figures = [*report.evaluation.targets.items(), ("**mean**", report.evaluation.mean)]
    cells = [
        (target, _interval(of.pearson), format_number(of.ccc.value), format_number(of.mae.value))
        for target, of in figures
    ]
    speakers = f", {report.num_speakers} speakers" if report.num_speakers else ""
    return "\n".join(
        [
            f"**mean Pearson {_interval(mean)}** ({100 * report.evaluation.level:.0f} % "
            f"interval) on {report.evaluation.num_clips} clips of split {report.split}{speakers}; "
            f"label snapshot {report.labels.number}",
            "",
            "| target | Pearson | CCC | MAE |",
            "|---|---|---|---|",
            *(f"| {' | '.join(row)} |" for row in cells),
        ]
    )


def decision_markdown(row: Mapping[str, Any]) -> str:
    """Return a decision, given as its row of the register."""
    if row["challenger"] is None:
        return f"## {row['name']}: {row['reason']}"
    verdict = "promoted" if row["promoted"] else "not promoted"
    champion = f"version {row['champion']}" if row["champion"] else "none"
    pearson = format_number(row["challenger_pearson"])
    difference = row["difference"]
    gained = "" if difference is None else f", a difference of {difference:+.3f}"
    return "\n".join(
        [
            f"## {row['name']} version {row['challenger']}: {verdict}",
            "",
            row["reason"],
            "",
            "| | version | mean Pearson |",
            "|---|---|---|",
            f"| champion before | {champion} | {format_number(row['champion_pearson'], '-')} |",
            f"| challenger | version {row['challenger']} | {pearson} |",
            "",
            f"On {row['num_clips']} clips that neither was trained on{gained}.",
        ]
    )


def _interval(estimate: Any) -> str:
    return format_interval(estimate.value, estimate.low, estimate.high)


def _table(key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
    from prefect.artifacts import create_table_artifact

    if api_url() is not None:
        table = [dict(row) for row in rows]
        _tried(lambda: create_table_artifact(table=table, key=key, description=description))


def _drawn(report: EvaluationReport) -> str:
    """Return the picture of an evaluation as a data URI."""
    import base64
    import io

    from tasks.evaluation.plots import agreement_plot

    drawn = io.BytesIO()
    agreement_plot(report).savefig(drawn, format="png", dpi=PICTURE_DPI)
    return f"data:image/png;base64,{base64.b64encode(drawn.getvalue()).decode()}"


def _markdown(key: str, text: str, description: str) -> None:
    from prefect.artifacts import create_markdown_artifact

    if api_url() is not None:
        _tried(lambda: create_markdown_artifact(text, key, description))


def _tried(send: Callable[[], object]) -> None:
    """Call a function that sends an artifact, and only log if the server refuses it."""
    import httpx

    try:
        send()
    except (httpx.HTTPError, OSError) as error:
        _LOGGER.warning("Prefect's server did not take an artifact: %s", error)
