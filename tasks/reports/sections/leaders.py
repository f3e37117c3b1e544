"""Section: the clips that score highest on each emotion, with their timelines and voices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emi_model.targets import VAD_DIMENSIONS
from tasks.reports.drawing.canvas import shortened
from tasks.reports.drawing.lines import timeline
from tasks.reports.page import FigureGroup, ReportFigure, ReportSection, ReportTable, titled
from tasks.reports.players import Voices
from tasks.reports.questions import Questions
from tasks.reports.sections.distributions import NO_SCORES
from tasks.store.queries.quoting import quoted, quoted_name

NUM_LEADERS = 3
"""Clips of each emotion; more where more players are wanted."""

MAX_SECONDS = 60
"""Of a clip's timeline."""

MAX_TITLE = 60

NO_TIMELINE = "The store has no timeline of this clip."
NO_VOICES = (
    "Voices are left out: --corpus DIR brings short players of these clips, --players N of how "
    "many of each emotion."
)


@dataclass(frozen=True)
class Leader:
    """A clip with a high score.

    Attributes:
        clip_id: of the clip.
        content_sha256: of its file when it was scored.
        score: its score.
    """

    clip_id: str
    content_sha256: str | None
    score: float


def leaders_section(questions: Questions, voices: Voices | None) -> ReportSection:
    """Return the section.

    Args:
        questions: to the store.
        voices: brings the sound of clips; None leaves voices out.
    """
    number = max(NUM_LEADERS, voices.num_players if voices else 0)
    highest = _highest(questions, number)
    if not highest:
        return ReportSection("leaders", "Highest scores", missing=[NO_SCORES])
    clips = {one.clip_id for found in highest.values() for one in found}
    seconds = _timelines(questions, clips)
    groups = [
        FigureGroup(
            titled(target),
            [
                _figure(target, place, one, seconds.get(one.clip_id, []), voices)
                for place, one in enumerate(found)
            ],
        )
        for target, found in highest.items()
    ]
    missing = [NO_VOICES] if voices is None else voices.notes()
    if not seconds:
        missing.append("The store has no timelines of these clips.")
    return ReportSection(
        "leaders",
        "Highest scores",
        lead=[
            f"The {number} clips with the highest score of each emotion, and how arousal, "
            "dominance and valence go second by second. They are examples, not evidence."
        ],
        groups=groups,
        missing=missing,
    )


def _highest(questions: Questions, number: int) -> dict[str, list[Leader]]:
    if not questions.targets:
        return {}
    best = ", ".join(
        f"max({{'score': {name}, 'clip_id': clip_id, 'sha': content_sha256}}, {number}) "
        f"FILTER ({name} IS NOT NULL) AS c{place}"
        for place, name in enumerate(map(quoted_name, questions.targets))
    )
    row = questions.row(f"SELECT {best}\nFROM trusted_scores")
    return {
        name: [Leader(one["clip_id"], one["sha"], one["score"]) for one in found]
        for name, found in zip(questions.targets, row.values(), strict=True)
        if found
    }


def _timelines(questions: Questions, clips: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    named = ", ".join(quoted(clip) for clip in sorted(clips) if "\0" not in clip)
    rows = questions.rows(
        f"SELECT clip_id, second, {', '.join(VAD_DIMENSIONS)}\nFROM timeline\n"
        f"WHERE clip_id IN ({named}) AND second < {MAX_SECONDS}\nORDER BY clip_id, second"
    )
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["clip_id"]].append(row)
    return found


def _figure(
    target: str,
    place: int,
    leader: Leader,
    seconds: Sequence[Mapping[str, Any]],
    voices: Voices | None,
) -> ReportFigure:
    name = shortened(leader.clip_id, MAX_TITLE)
    drawing = timeline(
        f"Timeline of {name}",
        "Arousal, dominance and valence by second." if seconds else NO_TIMELINE,
        [row["second"] for row in seconds],
        [(one, [row[one] for row in seconds]) for one in VAD_DIMENSIONS],
    )
    table = ReportTable(
        f"Arousal, dominance, valence by second of {leader.clip_id}",
        ["second", *VAD_DIMENSIONS],
        [[row["second"], *(row[one] for one in VAD_DIMENSIONS)] for row in seconds],
    )
    is_heard = voices is not None and place < voices.num_players
    return ReportFigure(
        name,
        drawing,
        f"{titled(target)} {leader.score:.3f}, 1 clip",
        table if seconds else None,
        note="" if seconds else NO_TIMELINE,
        audio=voices.sound(leader.clip_id, leader.content_sha256) if is_heard and voices else None,
    )
