"""Makes a report of a results store, and writes it to a file on a disk or in a bucket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emi_model.errors import ConfigError, StoreError
from tasks.progress import observer
from tasks.provenance import code_version
from tasks.reports.page import ReportPage, ReportSection, rendered, shown
from tasks.reports.players import Voices
from tasks.reports.questions import Questions, asked
from tasks.reports.sections.distributions import distributions_section
from tasks.reports.sections.durations import durations_section
from tasks.reports.sections.groups import groups_section
from tasks.reports.sections.leaders import leaders_section
from tasks.reports.sections.models import models_section
from tasks.reports.sections.provenance import dictionary_section, provenance_section
from tasks.reports.sections.quality import quality_section
from tasks.reports.sections.relations import relations_section, valence_arousal_section
from tasks.reports.sections.runs import history_section, run_drift_section
from tasks.storage.open import is_remote, local_path, open_file
from tasks.store.query import stored_question

NUM_SECTIONS = 12

HTML_SUFFIXES = (".html", ".htm")

_TABLES = "SELECT (SELECT count(*) FROM labels) AS labels, (SELECT count(*) FROM runs) AS runs"


@dataclass(frozen=True)
class Report:
    """A finished report.

    Attributes:
        html: the page.
        num_clips: clips in scores.
        missing: what it lacks, a sentence each.
    """

    html: str
    num_clips: int
    missing: Sequence[str]


def make_report(
    location: str,
    *,
    title: str | None = None,
    corpus: str | None = None,
    num_players: int = 0,
    by: str | None = None,
) -> Report:
    """Return the report on a store.

    Args:
        location: of the store, on a disk or in a bucket.
        title: of the page; default the name of the store's folder.
        corpus: folder, bucket or manifest with the clips, for the players.
        num_players: players for each emotion, at most `tasks.reports.players.MAX_PLAYERS`.
        by: column of the view clips that makes groups; default one of the study's own metadata, or
            the folder, if it has few values.

    Raises:
        CorpusError: the corpus is not there, or does not answer.
        QueryError: a question takes more memory than it may, or ``by`` is no column of few values.
        StoreError: there is no store, or it cannot be read.
    """
    with ExitStack() as stack:
        voices = None
        if corpus is not None and num_players:
            voices = stack.enter_context(Voices(corpus, num_players))
        return asked(
            location, lambda questions: _made(questions, title or _title(location), voices, by)
        )


def _made(questions: Questions, title: str, voices: Voices | None, by: str | None) -> Report:
    observer().begin("report", NUM_SECTIONS + 1, "sections")
    groups = groups_section(questions, by)  # first, since ``by`` may be wrong
    steps: Sequence[Callable[[], ReportSection]] = [
        lambda: distributions_section(questions),
        lambda: durations_section(questions),
        lambda: relations_section(questions),
        lambda: valence_arousal_section(questions),
        lambda: groups,
        lambda: leaders_section(questions, voices),
        lambda: quality_section(questions),
        lambda: models_section(questions),
        lambda: run_drift_section(questions),
        lambda: history_section(questions),
        lambda: provenance_section(questions),
        lambda: dictionary_section(questions),
    ]
    contents = questions.rows(stored_question("status"))
    current = contents[0] if contents and contents[0]["is_current"] else None
    tiles = _tiles(current, questions.row(_TABLES))
    observer().advance(1)
    sections = []
    for step in steps:
        sections.append(step())
        observer().advance(1)
    page = ReportPage(
        title,
        tiles,
        f"Made {shown(datetime.now(UTC))} by emi {code_version()}, from aggregates of the results "
        "store. The page holds all it shows and asks no network for anything.",
        sections,
    )
    missing = [sentence for section in sections for sentence in section.missing]
    return Report(rendered(page), current["clips"] if current else 0, missing)


def write_report(report: Report, reference: str) -> int:
    """Write a report so that the file is either absent or complete; return its bytes.

    Args:
        report: to be written.
        reference: of the file, on a disk or in a bucket; see `check_report_file`.

    Raises:
        StoreError: it cannot be written.
    """
    content = report.html.encode("utf-8", errors="backslashreplace")
    try:
        folder, name = open_file(reference)
        folder.write(name, content)
    except OSError as error:
        raise StoreError(f"{reference}: the report cannot be written ({error})") from error
    return len(content)


def check_report_file(reference: str) -> None:
    """Check, before the work, that a file's name is that of a page.

    Raises:
        ConfigError: its suffix is another.
    """
    suffix = Path(reference).suffix
    if suffix.lower() not in HTML_SUFFIXES:
        raise ConfigError(
            f"{reference}: found suffix {suffix!r}, expected {' or '.join(HTML_SUFFIXES)}"
        )


def _title(location: str) -> str:
    name = location if is_remote(location) else str(local_path(location).absolute())
    return f"Emotion scores: {name.rstrip('/').rpartition('/')[2]}"


def _tiles(current: dict[str, Any] | None, counts: dict[str, Any]) -> list[tuple[str, str]]:
    found = current or dict.fromkeys(("clips", "scored", "rejected"), 0) | {"audio_hours": 0.0}
    return [
        (f"{found['clips']:,}", "clips"),
        (f"{found['scored']:,}", "scored"),
        (f"{found['rejected']:,}", "rejected"),
        (f"{found['audio_hours']:,.2f}", "hours of sound scored"),
        (f"{counts['labels']:,}", "labelled clips"),
        (f"{counts['runs']:,}", "runs"),
    ]
