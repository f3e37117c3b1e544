from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from tasks.labels.label_file import ClipLabels, LabelFile
from tasks.labels.matching import match_labels


def named(*filenames: str) -> LabelFile:
    """Return a CSV of these rows; the first stands in line 2."""
    values = np.zeros(6, np.float32)
    rows = [ClipLabels(line, name, values, None, "", "") for line, name in enumerate(filenames, 2)]
    return LabelFile(Path("labels.csv"), "line", rows=tuple(rows))


def test_clips_are_found_by_path_then_by_bare_name() -> None:
    clip_ids = ["x/00012.mp4", "y/00013.mp4", "z/00014.mp3", "v.2/a.b.wav", "v/left.mp4"]
    matched = match_labels(named("00012", "y/00013.mp4", "00014.mp4", "a.b"), clip_ids)
    assert {clip: label.filename for clip, label in matched.labels.items()} == {
        "x/00012.mp4": "00012",
        "y/00013.mp4": "y/00013.mp4",
        "z/00014.mp3": "00014.mp4",
        "v.2/a.b.wav": "a.b",
    }
    assert matched.problems == ()
    assert matched.without_labels == ("v/left.mp4",)


def test_a_path_may_have_the_suffix_of_the_video_of_which_the_corpus_holds_features() -> None:
    clip_ids = ["x/1.npz", "x/2.npz", "y/1.npz", "z/v1.5.npz", "z/3.npz", "z/3.wav"]
    rows = ["x/1.mp4", "y/1.WAV", "z/v1.5.mp4", "x/2.csv", "q/2.mp4", "z/3.mp4"]
    matched = match_labels(named(*rows), clip_ids)
    assert {clip: label.filename for clip, label in matched.labels.items()} == {
        "x/1.npz": "x/1.mp4",
        "y/1.npz": "y/1.WAV",
        "z/v1.5.npz": "z/v1.5.mp4",
    }
    assert [problem.text for problem in matched.problems] == [
        "no clip 'x/2.csv' in the corpus",
        "no clip 'q/2.mp4' in the corpus",
        "'z/3.mp4' may be z/3.npz, z/3.wav: write the whole path",
    ]


def test_a_path_may_lack_the_suffix() -> None:
    clip_ids = ["train/dia0_utt0.mp4", "dev/dia0_utt0.mp4", "dev/v1.5.npz", "two/a.mp4"]
    clip_ids.append("two/a.wav")
    matched = match_labels(named("train/dia0_utt0", "./dev/v1.5", "two/a", "x/dia0_utt0"), clip_ids)
    assert {clip: label.filename for clip, label in matched.labels.items()} == {
        "train/dia0_utt0.mp4": "train/dia0_utt0",
        "dev/v1.5.npz": "./dev/v1.5",
    }
    assert [problem.text for problem in matched.problems] == [
        "'two/a' may be two/a.mp4, two/a.wav: write the whole path",
        "no clip 'x/dia0_utt0' in the corpus",
    ]


def test_rows_without_a_clip_or_with_several_are_problems() -> None:
    clip_ids = [f"{folder}/same.mp4" for folder in "abcd"] + ["one/a.mp4"]
    matched = match_labels(named("gone.wav", "same", "a.other", "two/a.mp4"), clip_ids)
    assert not matched.labels
    assert matched.problems == (
        (2, "no clip 'gone.wav' in the corpus"),
        (
            3,
            "'same' may be a/same.mp4, b/same.mp4, c/same.mp4 and 1 more: write the whole path",
        ),
        (4, "no clip 'a.other' in the corpus"),
        (5, "no clip 'two/a.mp4' in the corpus"),
    )


def test_two_rows_for_one_clip_are_a_problem_however_they_name_it() -> None:
    matched = match_labels(named("x/1.mp4", "1", "1.mp4", "x/1.mp4"), ["x/1.mp4"])
    assert matched.labels["x/1.mp4"].line == 2
    assert matched.problems == tuple(
        (line, f"'{name}' is the clip x/1.mp4 again, as in line 2")
        for line, name in ((3, "1"), (4, "1.mp4"), (5, "x/1.mp4"))
    )


def test_a_whole_path_wins_over_a_bare_name() -> None:
    matched = match_labels(named("a.mp4"), ["a.mp4", "x/a.mp4"])
    assert list(matched.labels) == ["a.mp4"]


def test_letters_match_however_they_are_composed() -> None:
    names = ["Zoë Müller.wav", "が/naïve.wav", "Ångström.wav"]
    for disk, file in (("NFD", "NFC"), ("NFC", "NFD")):
        clip_ids = [unicodedata.normalize(disk, name) for name in names]
        rows = [unicodedata.normalize(file, name) for name in (names[0], names[1], "Ångström")]
        matched = match_labels(named(*rows), clip_ids)
        assert (list(matched.labels), matched.problems) == (clip_ids, ())


def test_two_clips_that_differ_only_in_how_they_are_composed() -> None:
    clip_ids = [unicodedata.normalize(form, "é.wav") for form in ("NFC", "NFD")]
    assert list(match_labels(named(*clip_ids), clip_ids).labels) == clip_ids
    (problem,) = match_labels(named("é"), clip_ids).problems
    assert "may be" in problem.text


def test_the_way_to_a_clip_does_not_count(tmp_path: Path) -> None:
    clip_ids = ["sp0/0.wav", "sp1/0.wav", "sp2/0.wav", "sp3/0.wav"]
    rows = ["./sp0/0.wav", f"{tmp_path}/sp1/0.wav", "sp2//0.wav", "sp3\\0.wav"]
    matched = match_labels(named(*rows), clip_ids, str(tmp_path))
    assert (list(matched.labels), matched.problems) == (clip_ids, ())
    remote = match_labels(named("s3://b/c/sp0/0.wav"), clip_ids, "s3://b/c")
    assert list(remote.labels) == ["sp0/0.wav"]


def test_the_way_to_the_corpus_may_lead_through_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    clip_ids = ["sp0/0.wav", "sp1/0.wav"]
    rows = [f"{tmp_path}/videos/sp0/0.wav", f"{tmp_path}/project/../videos//sp1/0.wav"]
    matched = match_labels(named(*rows), clip_ids, "../videos")
    assert (list(matched.labels), matched.problems) == (clip_ids, ())


def test_an_absolute_path_of_another_place_is_no_clip() -> None:
    (problem,) = match_labels(named("/elsewhere/sp0/0.wav"), ["sp0/0.wav"], "/corpus").problems
    assert problem.text == "no clip '/elsewhere/sp0/0.wav' in the corpus /corpus"
