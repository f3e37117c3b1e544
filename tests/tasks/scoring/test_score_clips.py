"""What a run makes of passes that die; `tests/integration` has passes that really do."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import pyarrow as pa
import pytest

from emi_model.errors import ScoringError
from emi_model.targets import EMI_TARGETS
from tasks.cluster.budget import Budget, machine_budget
from tasks.corpus.clips import ClipFile
from tasks.scoring.score_clips import score_clips
from tasks.scoring.settings import ScoringSettings
from tasks.scoring.stages.failed_passes import MAX_IDLE_DEATHS, MAX_IDLE_LOSSES
from tasks.scoring.stages.stage import PassFailed, Work

CLIPS = [ClipFile(f"{number}.mp4", f"/gone/{number}.mp4".encode(), 1, 1) for number in range(4)]
SETTINGS = ScoringSettings("tiny", EMI_TARGETS, 12.0, "first", "fp32")
LOST = frozenset({"node 1"})

Script = Callable[[list[str], bool], tuple[Sequence[str], PassFailed | None]]


def died(*suspects: str, lost: frozenset[str] = frozenset()) -> PassFailed:
    return PassFailed("it died", frozenset(suspects), lost)


@pytest.fixture
def outcome(monkeypatch: pytest.MonkeyPatch) -> Callable[[Script], dict[str, str]]:
    """Return a function that scores by a script: what a pass over some clips gives, how it dies.

    The script's arguments are the pass's clips and whether it takes them one at a time.
    """

    def run(script: Script) -> dict[str, str]:
        def scripted_pass(
            clips: Sequence[ClipFile], work: Work, budget: Budget, **options: Any
        ) -> Generator[pa.Table, None, None]:
            rows, death = script([clip.clip_id for clip in clips], "one_by_one" in options)
            for name in rows:
                yield pa.table({"clip_id": [name], "reason": ["scored"]})
            if death is not None:
                raise death

        monkeypatch.setattr("tasks.scoring.passes.run_pass", scripted_pass)
        found: dict[str, str] = {}
        for rows in score_clips(CLIPS, SETTINGS, machine_budget(cores=2)):
            for row in rows.to_pylist():
                assert row["clip_id"] not in found
                found[row["clip_id"]] = row["reason"]
        return found

    return run


def test_a_clip_whose_worker_dies_twice_is_rejected(
    outcome: Callable[[Script], dict[str, str]],
) -> None:
    def script(clips: list[str], alone: bool) -> tuple[Sequence[str], PassFailed | None]:
        if "2.mp4" not in clips:
            return clips, None
        return ([], died("2.mp4")) if alone else ([], died("1.mp4", "2.mp4"))

    found = outcome(script)
    assert found.pop("2.mp4") == "worker_died"
    assert set(found.values()) == {"scored"}
    assert len(found) == 3


def test_a_lost_node_accuses_no_clip(outcome: Callable[[Script], dict[str, str]]) -> None:
    passes = []

    def script(clips: list[str], alone: bool) -> tuple[Sequence[str], PassFailed | None]:
        passes.append((clips, alone))
        return (clips[:1], died(lost=LOST)) if len(clips) > 1 else (clips, None)

    assert set(outcome(script).values()) == {"scored"}
    assert [len(clips) for clips, _ in passes] == [4, 3, 2, 1]
    assert not any(alone for _, alone in passes)


def test_nodes_that_are_lost_again_and_again_end_the_run(
    outcome: Callable[[Script], dict[str, str]],
) -> None:
    passes = []

    def script(clips: list[str], alone: bool) -> tuple[Sequence[str], PassFailed | None]:
        passes.append(clips)
        return [], died(lost=LOST)

    with pytest.raises(ScoringError, match=f"nodes were lost {MAX_IDLE_LOSSES} times in a row"):
        outcome(script)
    assert len(passes) == MAX_IDLE_LOSSES


def test_workers_that_die_at_nothing_end_the_run(
    outcome: Callable[[Script], dict[str, str]],
) -> None:
    passes = []

    def script(clips: list[str], alone: bool) -> tuple[Sequence[str], PassFailed | None]:
        passes.append(clips)
        return [], died()

    with pytest.raises(ScoringError, match="workers die before they take a clip: it died"):
        outcome(script)
    assert len(passes) == MAX_IDLE_DEATHS
