from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emi_model.errors import LabelError
from tasks.labels import ClipLabels, match_labels, read_labels

CHALLENGE = "Filename,Admiration,Amusement,Determination,Empathic Pain,Excitement,Joy"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a label file of the given lines."""

    def written(*lines: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "labels.csv"
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
        return path

    return written


def named(*filenames: str) -> list[ClipLabels]:
    return [ClipLabels(name, np.zeros(6, np.float32), None, "", "") for name in filenames]


def test_the_challenges_file_is_read_and_its_ids_keep_their_zeros(write: Write) -> None:
    first, second = read_labels(write(CHALLENGE, "00012,0,0.1,0.2,0.3,0.4,1", "12,0,0,0,0,0,0"))
    assert (first.filename, second.filename) == ("00012", "12")
    assert first.emi.dtype == np.float32
    assert first.emi == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 1.0])
    assert first.vad is None
    assert (first.speaker, first.split) == ("", "")


def test_columns_may_stand_in_any_order_and_say_more(write: Write) -> None:
    path = write(
        "split,valence,joy,speaker,dominance,arousal,filename,remark",
        "train,0.3,0.9,anna,0.2,0.1,a/b.mp4,nothing",
        encoding="utf-8-sig",
    )
    (label,) = read_labels(path, targets=("Joy",))
    assert label.filename == "a/b.mp4"
    assert label.emi == pytest.approx([0.9])
    assert label.vad == pytest.approx([0.1, 0.2, 0.3])
    assert (label.speaker, label.split) == ("anna", "train")


def test_all_problems_are_told_at_once(write: Write) -> None:
    path = write(
        "filename,joy",
        "a.mp4,1.5",
        "b.mp4,much",
        "",
        "c.mp4,nan",
        ",0.5",
        "d.mp4,0.5,0.5",
        "e.mp4,0.1",
        "e.mp4,0.2",
    )
    with pytest.raises(LabelError) as caught:
        read_labels(path, targets=("Joy",))
    problems = str(caught.value).splitlines()[1:]
    assert [problem.strip() for problem in problems] == [
        "line 2: joy is '1.5', expected a number from 0 to 1",
        "line 3: joy is 'much', expected a number from 0 to 1",
        "line 5: joy is 'nan', expected a number from 0 to 1",
        "line 6: no filename",
        "line 7: 3 cells, expected 2",
        "'e.mp4' stands there 2 times",
    ]


def test_a_long_list_of_problems_is_counted(write: Write) -> None:
    path = write("filename,joy", *(f"{number},x" for number in range(30)))
    with pytest.raises(LabelError, match=r"and 10 more$"):
        read_labels(path, targets=("Joy",))


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("filename", "0 columns 'joy'"),
        ("file,joy", "0 columns 'filename'"),
        ("filename,joy,Joy", "2 columns 'joy'"),
        ("filename,joy,arousal,valence", "0 columns 'dominance'"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(write: Write, header: str, problem: str) -> None:
    with pytest.raises(LabelError, match=problem):
        read_labels(write(header, "a,0,0,0"), targets=("Joy",))


@pytest.mark.parametrize("lines", [[], ["filename,joy"]])
def test_a_file_without_rows_is_refused(write: Write, lines: list[str]) -> None:
    with pytest.raises(LabelError, match="no rows"):
        read_labels(write(*lines), targets=("Joy",))


def test_a_file_that_is_no_text_or_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(b"\xff\xfe\x00")
    for broken in (path, tmp_path / "none.csv", tmp_path):
        with pytest.raises(LabelError, match="cannot read the label file"):
            read_labels(broken)


def test_clips_are_found_by_path_then_by_bare_name() -> None:
    clip_ids = ["x/00012.mp4", "y/00013.mp4", "z/same.mp4", "w/same.mp4", "v/left.mp4"]
    matched = match_labels(named("00012", "y/00013.mp4", "same", "gone.wav"), clip_ids)
    assert {clip: label.filename for clip, label in matched.labels.items()} == {
        "x/00012.mp4": "00012",
        "y/00013.mp4": "y/00013.mp4",
    }
    assert matched.without_clip == ("same", "gone.wav")
    assert matched.without_labels == ("z/same.mp4", "w/same.mp4", "v/left.mp4")


def test_a_name_that_two_rows_share_matches_nothing() -> None:
    matched = match_labels(named("a/1.mp4", "b/1.mp4"), ["c/1.mp4"])
    assert not matched.labels
    assert matched.without_labels == ("c/1.mp4",)
