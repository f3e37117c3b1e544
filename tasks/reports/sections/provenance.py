"""Sections: where the numbers come from and what they may be used for; what each column means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emi_model.targets import VAD_DIMENSIONS
from tasks.reports.page import NOTHING, ReportSection, ReportTable, shown
from tasks.reports.questions import Questions
from tasks.schema.dictionary import table_named

_SQL = """\
SELECT
    current.*,
    runs.precision,
    runs.versions,
    runs.commit,
    (SELECT {'number': number, 'snapshot': snapshot, 'added_at': added_at, 'n': num_clips}
        FROM label_snapshots ORDER BY number DESC LIMIT 1) AS labels
FROM (
    SELECT model, model_sha256, coverage, backbone_licence, max(run_id) AS run_id,
        min(scored_at) AS first_at, max(scored_at) AS last_at
    FROM scores
    GROUP BY ALL
    ORDER BY last_at DESC
    LIMIT 1
) AS current
LEFT JOIN runs ON runs.run_id = current.run_id"""

COLUMNS_EXPLAINED = (
    *("clip_id", "status", "reason", "flags", "duration_seconds", "scored_seconds", "codec"),
    *("sampling_rate", "rms_dbfs", "model", "coverage", "run_id"),
)
"""Of scores, those that this report speaks of, beside the scores themselves."""


def provenance_section(questions: Questions) -> ReportSection:
    """Return the section of model, labels, software and licences."""
    rows = questions.rows(_SQL)
    if not rows:
        return ReportSection(
            "provenance",
            "Provenance and licence",
            missing=["No clip has a row yet, so there is no model to name."],
        )
    found = rows[0]
    return ReportSection(
        "provenance",
        "Provenance and licence",
        lead=[_licence(found["backbone_licence"])],
        facts=[(name, shown(value)) for name, value in _facts(found)],
    )


def dictionary_section(questions: Questions) -> ReportSection:
    """Return the section that explains each column in a sentence."""
    explained = {column.name: column for column in table_named("scores").columns}
    wanted = [*questions.targets, *VAD_DIMENSIONS, *COLUMNS_EXPLAINED]
    rows = [
        (
            [name, f"{explained[name].meaning}.", explained[name].unit or NOTHING]
            if name in explained
            else [name, f"score of {name.replace('_', ' ')}, a target of this model.", "0..1"]
        )
        for name in wanted
        if name in questions.columns
    ]
    return ReportSection(
        "columns",
        "What the columns mean",
        lead=["The columns of the table scores that this report is made of; emi schema has all."],
        tables=[ReportTable("Columns", ["column", "meaning", "unit or range"], rows)],
    )


def _licence(licence: str | None) -> str:
    if not licence:
        return (
            "The rows name no licence of the weights that the model was made from: find it out "
            "before you pass scores on."
        )
    words = f"The scores were computed with a model made from weights under {licence}."
    if "NC" in licence.upper().replace("_", "-").split("-"):
        return f"{words} That licence does not allow commercial use."
    return f"{words} What that licence asks for holds for the model too."


def _facts(found: Mapping[str, Any]) -> Sequence[tuple[str, Any]]:
    versions = found["versions"] or {}
    return [
        ("Model", found["model"]),
        ("Model's SHA-256", found["model_sha256"]),
        ("Licence of its weights", found["backbone_licence"]),
        ("Coverage", found["coverage"]),
        ("Scored from", found["first_at"]),
        ("Scored until", found["last_at"]),
        ("Latest run", found["run_id"]),
        ("Arithmetic asked for", found["precision"]),
        ("Commit of the software", found["commit"]),
        (
            "Versions in that run",
            ", ".join(f"{name} {one}" for name, one in versions.items()) or None,
        ),
        ("Labels", _labels(found["labels"])),
        ("Licence of this software", "Apache-2.0"),
    ]


def _labels(snapshot: Mapping[str, Any] | None) -> str:
    if not snapshot:
        return "none"
    return (
        f"snapshot {snapshot['number']} ({snapshot['snapshot'][:12]}), {snapshot['n']:,} clips, "
        f"added {shown(snapshot['added_at'])}"
    )
