"""A folder is made once, and is whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.storage.whole_folder import made_whole

LAST = "last.txt"


def fill(folder: Path, text: str = "ours") -> None:
    folder.mkdir()
    (folder / LAST).write_text(text)


def test_it_is_made_once(tmp_path: Path) -> None:
    target = tmp_path / "below" / "made"
    assert made_whole(target, LAST, fill) == target
    assert made_whole(target, LAST, lambda folder: fill(folder, "again")) == target
    assert (target / LAST).read_text() == "ours"
    assert list(target.parent.iterdir()) == [target]


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        fill(folder)
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        made_whole(tmp_path / "made", LAST, fail)
    assert list(tmp_path.iterdir()) == []


def test_of_two_at_the_same_time_the_faster_ones_stays(tmp_path: Path) -> None:
    target = tmp_path / "made"

    def slow(folder: Path) -> None:
        fill(folder)
        fill(target, "theirs")

    assert made_whole(target, LAST, slow) == target
    assert (target / LAST).read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [target]


def test_what_is_in_the_way_is_not_taken_for_it(tmp_path: Path) -> None:
    target = tmp_path / "made"
    target.mkdir()
    (target / "half.txt").touch()
    with pytest.raises(OSError, match="not empty"):
        made_whole(target, LAST, fill)
    assert [file.name for file in target.iterdir()] == ["half.txt"]
