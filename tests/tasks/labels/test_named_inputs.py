"""Features belong to a clip's name: copies of one film, seen by two people, have their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.corpus.clips import hash_content
from tasks.extraction.registry import depend_on_names
from tasks.extraction.series.settings import SeriesSettings
from tasks.labels.label_set import LabelledRow, LabelSet
from tasks.labels.labelled_clips import LabelledAudio, load_labelled_audio

NEEDS = {"pulse": True}
NAMES = ("ana/film.mp4", "ben/film.mp4")


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Write two copies of a film, and what was measured of each of two people who saw it."""
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    for number, name in enumerate(NAMES, start=1):
        film = tmp_path / "corpus" / name
        film.parent.mkdir(parents=True)
        film.write_bytes(b"the film")
        measured = tmp_path / "measured" / Path(name).with_suffix(".npz")
        measured.parent.mkdir(parents=True)
        np.savez(measured, pulse=np.full((50, 1), number), fps=25)
    return {"pulse": SeriesSettings(str(tmp_path / "measured"), 1, 25.0)}


def load(tmp_path: Path, options: dict[str, Any], *names: str) -> LabelledAudio:
    content = hash_content(tmp_path / "corpus" / NAMES[0])
    assert content is not None
    rows = [LabelledRow(name, content, np.ones(1, np.float32), None, "", "train") for name in names]
    return load_labelled_audio(
        LabelSet("aa", 1, ("Joy",), tuple(rows)),
        str(tmp_path / "corpus"),
        ["train"],
        needs=NEEDS,
        options=options,
        min_samples=1,
    )


def first_values(found: LabelledAudio) -> dict[str, float]:
    return {clip.clip_id: clip.inputs["pulse"][0, 0] for clip in found.of_split("train")}


def test_each_of_two_copies_has_its_own_features(tmp_path: Path, options: dict[str, Any]) -> None:
    assert first_values(load(tmp_path, options, NAMES[0])) == {NAMES[0]: 1}
    both = load(tmp_path, options, *NAMES)
    assert first_values(both) == {NAMES[0]: 1, NAMES[1]: 2}
    assert len({clip.inputs_id for clip in both.of_split("train")}) == 2


def test_a_copy_without_features_lacks_them(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "measured" / NAMES[1]).with_suffix(".npz").unlink()
    found = load(tmp_path, options, *NAMES)
    assert first_values(found) == {NAMES[0]: 1}
    assert found.missing[NAMES[1]].startswith("no_series: no features called pulse")


def test_what_depends_on_names(options: dict[str, Any]) -> None:
    assert depend_on_names(["audio", "pulse"], options)
    assert not depend_on_names(["audio", "vision"], options)
    assert not depend_on_names(["pulse"], {"pulse": SeriesSettings(None, 1)})
