from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from emi_model.errors import LabelError, TrainingError
from tasks.evaluation.promotion import (
    Contest,
    DecidingClips,
    Rule,
    Verdict,
    decide,
    decided_before,
    deciding_clips,
    deciding_split,
    record_decision,
)
from tasks.labels.label_set import LabelledRow, LabelSet
from tasks.labels.labelled_clips import CachedClip, LabelledAudio
from tasks.registry.version import Version
from tasks.schema.tables import DECISIONS
from tasks.store.query import answer
from tasks.store.store import create_store

RNG = np.random.default_rng(3)
TRUTH = RNG.uniform(size=(60, 2)).astype(np.float32)
NOISE = RNG.uniform(size=(60, 2))
GOOD = 0.8 * TRUTH + 0.2 * NOISE
POOR = 0.2 * TRUTH + 0.8 * NOISE


def contest(
    champion: NDArray[np.float64] | None, challenger: NDArray[np.float64], *, num_speakers: int = 12
) -> Contest:
    clips = [
        CachedClip(f"{n}.wav", f"{n:064}", TRUTH[n], None, f"s{n % num_speakers}", 400, Path())
        for n in range(len(TRUTH))
    ]
    rows = tuple(
        LabelledRow(clip.clip_id, clip.content_sha256, clip.emi, None, clip.speaker, "valid")
        for clip in clips
    )
    labels = LabelSet("5" * 64, 1, ("Joy", "Fear"), rows)
    return Contest(labels, DecidingClips("valid", clips), champion, challenger)


def version(number: int, sha256: str) -> Version:
    tags = {"sha256": sha256, "recipe": "debug"}
    return Version("emi", number, (), "/nowhere", None, datetime.now(UTC), tags)


def test_a_better_challenger_is_promoted_and_a_worse_one_is_not() -> None:
    better = decide(contest(POOR, GOOD), Rule())
    assert better.promoted
    assert better.reason.startswith("better: ")
    assert "(rough: 12 speakers)" in better.reason
    assert "rough" not in decide(contest(POOR, GOOD, num_speakers=60), Rule()).reason
    worse = decide(contest(GOOD, POOR), Rule())
    assert not worse.promoted
    assert worse.reason.startswith("not better beyond doubt: ")
    assert better.difference is not None
    assert worse.difference is not None
    assert better.difference.difference == pytest.approx(-worse.difference.difference or 0)


def test_the_same_again_is_not_better() -> None:
    assert not decide(contest(GOOD, GOOD), Rule()).promoted


def test_better_by_less_than_the_margin_is_not_enough() -> None:
    found = decide(contest(POOR, GOOD), Rule()).difference
    assert found is not None
    assert found.low is not None
    assert decide(contest(POOR, GOOD), Rule(margin=found.low - 0.01)).promoted
    assert not decide(contest(POOR, GOOD), Rule(margin=found.low + 0.01)).promoted


def test_of_one_speaker_nothing_can_be_said() -> None:
    verdict = decide(contest(POOR, GOOD, num_speakers=1), Rule())
    assert not verdict.promoted
    assert "nothing can be said" in verdict.reason


def test_without_a_champion_the_challenger_is_it() -> None:
    assert decide(contest(None, POOR), Rule()) == Verdict(True, "there was no champion", None)


@pytest.mark.parametrize(("level", "margin"), [(0.5, 0), (1.0, 0), (float("nan"), 0), (0.9, 3)])
def test_a_rule_out_of_range_is_refused(level: float, margin: float) -> None:
    with pytest.raises(TrainingError, match="expected"):
        Rule(level, margin)


def test_a_decision_is_a_row_and_is_found_again(tmp_path: Path) -> None:
    store = create_store(tmp_path / "store")
    one, two, rule = version(1, "a" * 64), version(2, "b" * 64), Rule()
    fight = contest(GOOD, POOR)
    verdict = decide(fight, rule)
    clips = fight.deciding
    assert decided_before(store, rule, one, two, "5" * 64, clips) is None
    written = record_decision(
        store,
        fight,
        verdict,
        rule,
        champion=one,
        challenger=two,
        pearsons=(0.9, 0.3),
        seed=1,
    )
    (row,) = answer(store.location, "SELECT * FROM decisions").to_pylist()
    assert row["promoted"] is False
    assert (row["champion"], row["challenger"]) == ("1", "2")
    assert (row["num_clips"], row["num_speakers"]) == (60, 12)
    assert row["difference_low"] < row["difference"] < 0
    assert row["split_sha256"] == fight.labels.split_sha256
    assert (row["split"], row["clips_sha256"]) == ("valid", clips.sha256)
    found = decided_before(store, rule, one, two, "5" * 64, clips)
    assert found is not None
    assert found["decision_id"] == written["decision_id"]
    assert decided_before(store, replace(rule, level=0.9), one, two, "5" * 64, clips) is None
    assert decided_before(store, rule, None, two, "5" * 64, clips) is None
    fewer = replace(clips, clips=clips.clips[1:])
    for others in (fewer, replace(clips, split="test")):
        assert decided_before(store, rule, one, two, "5" * 64, others) is None


def test_a_decision_of_an_earlier_version_is_read_and_decides_nothing_now(tmp_path: Path) -> None:
    store = create_store(tmp_path / "store")
    one, two, rule = version(1, "a" * 64), version(2, "b" * 64), Rule()
    fight = contest(GOOD, POOR)
    models: dict[str, Any] = {"champion": one, "challenger": two}
    pearsons = (0.9, 0.3)
    row = record_decision(
        store, fight, decide(fight, rule), rule, **models, pearsons=pearsons, seed=1
    )
    (part,) = store.parts(DECISIONS)
    earlier = store.read(part).drop_columns(["split", "clips_sha256"])
    file = tmp_path / "store" / part.file
    file.unlink()
    pq.write_table(earlier, file)
    assert decided_before(store, rule, one, two, "5" * 64, fight.deciding) is None
    (found,) = answer(store.location, "SELECT * FROM decisions").to_pylist()
    assert (found["decision_id"], found["num_clips"]) == (row["decision_id"], 60)
    assert (found["split"], found["clips_sha256"]) == (None, None)


def test_the_clips_that_decide_are_test_clips_that_can_be_read_else_those_of_validation() -> None:
    fight = contest(None, POOR)
    first, *others = fight.deciding.clips
    both = LabelledAudio(fight.labels, {"valid": (first,), "test": tuple(others)}, {})
    assert deciding_split(both) == "test"
    found = deciding_clips(both, {others[0].content_sha256})
    assert (found.split, found.clips) == ("test", others[1:])
    gone = replace(both, clips={"valid": (first,), "test": ()})
    assert deciding_clips(gone, set()) == DecidingClips("valid", [first])
    with pytest.raises(LabelError, match="no clip of the split 'valid' that the champion was not"):
        deciding_clips(gone, {first.content_sha256})
