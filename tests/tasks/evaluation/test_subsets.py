"""Which clips are a subset, and its figures, beside those of all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.evaluation.sensitivity import asr_difference
from tasks.evaluation.subsets import subsets_of
from tasks.labels.audio_cache import AudioCache
from tasks.labels.cache_files import write_facts, write_values
from tasks.labels.label_set import LabelledRow
from tasks.labels.labelled_clips import CachedClip
from tasks.store.query import answer
from tasks.store.store import create_store
from tests.labelled import labelled_rows, near, report_on

NEEDS = {"audio": False, "text": False, "vision": False, "smell": False}
FOLDERS = {"audio": "v2", "text": "text-v1-a", "vision": "vision-v1", "smell": "smell-v1"}
HALF_A_SECOND, SECOND = 8_000, 16_000


def cached(
    root: Path, row: LabelledRow, num_samples: int, language: str | None, *lacks: str
) -> CachedClip:
    content = row.content_sha256
    for modality, folder in FOLDERS.items():
        suffix = ".absent" if modality in lacks else ".flac" if modality == "audio" else ".npy"
        values: Any = np.zeros(num_samples, np.int16 if modality == "audio" else np.uint8)
        file = root / folder / content[:2] / f"{content}{suffix}"
        write_values(file, None if modality in lacks else values)
    write_facts(root / FOLDERS["text"] / content[:2] / f"{content}.json", {"language": language})
    return CachedClip(
        row.clip_id,
        content,
        row.emi,
        row.vad,
        row.speaker,
        num_samples=num_samples,
        cache=root,
        needs=NEEDS,
        folders=FOLDERS,
    )


@pytest.fixture
def clips(tmp_path: Path) -> list[CachedClip]:
    rows = iter(labelled_rows(8))
    return [
        cached(tmp_path, next(rows), HALF_A_SECOND, "en"),
        cached(tmp_path, next(rows), SECOND, "de"),
        cached(tmp_path, next(rows), SECOND, None, "text"),
        cached(tmp_path, next(rows), 0, None, "audio", "text"),
        cached(tmp_path, next(rows), SECOND, "en", "vision"),
        cached(tmp_path, next(rows), SECOND, "en", "smell"),
        cached(tmp_path, next(rows), HALF_A_SECOND, "de"),
        cached(tmp_path, next(rows), SECOND, "en"),
    ]


def test_clips_are_divided_by_what_they_hold(clips: list[CachedClip]) -> None:
    assert subsets_of(clips) == {
        "language de": [1, 6],
        "language en": [0, 4, 5, 7],
        "no face": [4],
        "no smell": [5],
        "no sound": [3],
        "no speech": [2, 3],
        "under 1 s": [0, 6],
    }


def test_what_holds_for_all_clips_is_no_subset(clips: list[CachedClip]) -> None:
    assert subsets_of([clips[0]]) == {}
    assert subsets_of([clips[1], clips[6]]) == {"under 1 s": [1]}
    assert subsets_of([]) == {}


def test_clips_of_sound_alone_ask_for_nothing_else(clips: list[CachedClip]) -> None:
    heard = [replace(clip, needs={"audio": True}, folders={}) for clip in clips[:2]]
    assert AudioCache(heard[0].cache).folders() == {"audio": "v2"}
    assert subsets_of(heard) == {"under 1 s": [0]}


def test_a_subset_has_rows_of_its_own_in_the_store(clips: list[CachedClip], tmp_path: Path) -> None:
    rows = labelled_rows(8)
    text = {"text": {"asr_model": "tiny.en", "asr_sha256": "ab"}}
    report = report_on(rows, clips=clips, extractors=text)
    store = create_store(tmp_path / "store")
    report.write(store)
    sql = "SELECT subset, target, num_clips, num_missing, pearson, asr_model FROM evaluations"
    found = answer(store.location, sql).to_pylist()
    assert len(found) == 3 * 8
    assert {row["asr_model"] for row in found} == {"tiny.en"}
    means = {row["subset"]: row for row in found if row["target"] == "mean"}
    assert means[None]["num_clips"] == 8
    assert (means["no face"]["num_clips"], means["no face"]["pearson"]) == (1, None)
    english = [0, 4, 5, 7]
    alone = report_on([rows[place] for place in english], predictions=near(rows)[english])
    mean = alone.evaluation.mean.pearson.value
    assert means["language en"]["pearson"] == pytest.approx(mean)


def test_the_difference_of_two_texts_is_paired() -> None:
    rows = labelled_rows(60)
    one, same = report_on(rows), report_on(rows)
    found = asr_difference(one, same)
    assert found is not None
    assert (found.difference, found.low, found.high) == (0, 0, 0)
    worse = report_on(rows, predictions=near(rows, noise=2.0))
    found = asr_difference(one, worse)
    assert found is not None
    mean = [report.evaluation.mean.pearson.value or 0 for report in (worse, one)]
    assert found.difference == pytest.approx(mean[0] - mean[1])
    assert found.high is not None
    assert found.high < 0
    fewer = replace(worse, missing={"a.wav": "no_speech"})
    assert asr_difference(one, fewer) is None
