from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from emi_model.errors import CorpusError
from tasks.corpus.arrivals import SETTLED_SECONDS
from tasks.labels import inbox
from tasks.labels.add_labels import add_labels, describe_snapshots
from tasks.labels.inbox import REPEATED, TAKEN, NewFile, Terms, look_into
from tasks.labels.label_set import load_labels
from tasks.labels.splits import Shares
from tasks.storage.open import open_folder


class Site(NamedTuple):
    """A corpus, an inbox and a store; the last two on a disk or in a bucket."""

    corpus: str
    inbox: str
    store: str

    def drop(self, name: str, *lines: str, age: float = 60.0) -> None:
        """Put a label file with these clips, speakers and labels into the inbox, so many s old."""
        content = "\n".join(["filename,speaker,joy", *lines])
        open_folder(self.inbox).write(name, content.encode())
        if "://" not in self.inbox:
            moment = time.time() - age
            os.utime(Path(self.inbox, name), (moment, moment))

    def look(self, terms: Terms | None = None) -> list[NewFile]:
        return list(look_into(self.inbox, self.store, self.corpus, terms))

    def outcomes(self) -> dict[str, str]:
        return {file.name: file.outcome for file in self.look()}

    def joy(self) -> list[float]:
        return [clip.emi[0].item() for clip in load_labels(self.store).clips]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.mp4").write_bytes(bytes([number]))
    return str(folder)


@pytest.fixture(params=["disk", "bucket"])
def site(request: pytest.FixtureRequest, corpus: str, tmp_path: Path) -> Site:
    if request.param == "disk":
        return Site(corpus, str(tmp_path / "inbox"), str(tmp_path / "store"))
    bucket = request.getfixturevalue("bucket")
    request.getfixturevalue("monkeypatch").setattr(inbox, "SETTLED_SECONDS", -60.0)
    return Site(corpus, f"{bucket}/inbox", f"{bucket}/store")


@pytest.fixture
def disk(corpus: str, tmp_path: Path) -> Site:
    return Site(corpus, str(tmp_path / "inbox"), str(tmp_path / "store"))


def test_new_files_become_snapshots_once(site: Site) -> None:
    assert site.look() == []
    site.drop("a.csv", "0,anna,0.5", "1,ben,0.25")
    (found,) = site.look()
    assert (found.name, found.outcome, found.number) == ("a.csv", "taken", 1)
    assert found.said == "snapshot 1: 2 clips added, 0 corrected"
    assert found.snapshot == describe_snapshots(site.store)[0]["snapshot"]
    assert site.look() == []
    site.drop("deeper/b.csv", "2,cleo,1.0")
    assert [file.name for file in site.look()] == ["deeper/b.csv"]
    assert [link["file"] for link in describe_snapshots(site.store)] == ["a.csv", "b.csv"]


def test_an_old_content_is_never_applied_again(site: Site) -> None:
    site.drop("first.csv", "0,anna,0.5")
    site.drop("second.csv", "0,anna,0.75", age=30)
    assert site.outcomes() == {"first.csv": "taken", "second.csv": "taken"}
    assert site.joy() == [0.75]
    site.drop("first.csv", "0,anna,0.5", age=25)  # touched, or uploaded again
    site.drop("copy of first.csv", "0,anna,0.5", age=25)
    assert set(site.outcomes().values()) == {"taken before"}
    assert site.joy() == [0.75]
    assert site.look() == []


def test_what_brought_nothing_is_remembered_too(site: Site) -> None:
    site.drop("a.csv", "0,anna,0.5")
    site.look()
    site.drop("same labels.csv", "0,anna,0.50")
    (found,) = site.look()
    assert (found.outcome, found.snapshot) == ("taken", None)
    assert found.said.startswith("nothing new")
    add_labels(site.store, _file(site, "0,anna,0.75"), site.corpus)
    assert site.look() == []
    assert site.joy() == [0.75]


def test_a_refused_file_waits_until_it_changes(site: Site) -> None:
    site.drop("a.csv", "0,anna,7", "9,ben,0.5")
    (found,) = site.look()
    assert (found.outcome, found.snapshot) == ("refused", None)
    assert found.said.startswith("the label file a.csv cannot be used")
    assert "line 2" in found.said
    assert "line 3" in found.said
    assert site.look() == []
    site.drop("a.csv", "0,anna,0.7", "1,ben,0.5", age=59)
    assert site.outcomes() == {"a.csv": "taken"}


def test_files_are_taken_in_the_order_of_their_making(disk: Site) -> None:
    disk.drop("a.csv", "0,anna,0.9", age=30)
    disk.drop("b.csv", "0,anna,0.1", age=90)
    assert list(disk.outcomes()) == ["b.csv", "a.csv"]
    assert disk.joy() == pytest.approx([0.9])


def test_a_file_that_may_still_be_written_waits(
    disk: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.drop("young.csv", "0,anna,0.5", age=SETTLED_SECONDS / 2)
    disk.drop("growing.csv", "1,ben,0.5")
    monkeypatch.setattr(inbox, "PAUSE_SECONDS", 1.0)
    grow = lambda _: disk.drop("growing.csv", "1,ben,0.5", "2,cleo,0.5")  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(inbox, "time", SimpleNamespace(sleep=grow, time_ns=time.time_ns))
        assert disk.outcomes() == {"young.csv": "waiting", "growing.csv": "waiting"}
    monkeypatch.setattr(inbox, "PAUSE_SECONDS", 0.0)
    assert disk.outcomes() == {"growing.csv": "taken"} | {"young.csv": "waiting"}


def test_a_file_of_a_wrong_clock_does_not_wait_for_its_day(disk: Site) -> None:
    disk.drop("future.csv", "0,anna,0.5", age=-86_400)
    assert disk.outcomes() == {"future.csv": "taken"}


def test_other_files_are_none_of_its_business(disk: Site) -> None:
    for name in ("notes.txt", ".hidden.csv", "labels.csv.part"):
        disk.drop(name, "0,anna,0.5")
    assert disk.look() == []


def test_terms_are_those_of_adding(disk: Site) -> None:
    disk.drop("a.csv", *(f"{number},,0.5" for number in range(4)))
    disk.look(Terms(Shares(valid=0.5), seed=3, targets=("joy",)))
    (link,) = describe_snapshots(disk.store)
    assert link["clips_by_split"] == {"train": 2, "valid": 2, "test": 0}
    assert link["seed"] == 3


def test_files_of_raters_are_read_as_by_hand(disk: Site) -> None:
    disk.drop("a.csv", *(f"{number},,{20 * number}" for number in range(4)))
    terms = Terms(targets=("joy",), scale=100, speaker_from="{speaker}.*")
    (found,) = disk.look(terms)
    assert found.said == "snapshot 1: 4 clips added, 0 corrected"
    clips = load_labels(disk.store).clips
    assert [clip.speaker for clip in clips] == ["0", "1", "2", "3"]
    assert clips[3].emi == pytest.approx([0.6])


def test_a_missing_corpus_is_not_the_files_fault(disk: Site) -> None:
    disk.drop("a.csv", "0,anna,0.5")
    with pytest.raises(CorpusError):
        disk._replace(corpus=f"{disk.corpus}/none").look()
    assert disk.outcomes() == {"a.csv": "taken"}


def _killed_behind(disk: Site, monkeypatch: pytest.MonkeyPatch, *, added: bool) -> None:
    """Look, and be killed before what became of the file is written down."""
    disk.drop("a.csv", "0,anna,0.5")
    with monkeypatch.context() as patch:
        if not added:
            patch.setattr(inbox, "add_labels", _die)
        patch.setattr(inbox._Memory, "settle", _die)
        with pytest.raises(KeyboardInterrupt):
            disk.look()


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("added", [True, False])
def test_a_look_that_was_cut_short_is_made_up_for(
    disk: Site, monkeypatch: pytest.MonkeyPatch, added: bool
) -> None:
    _killed_behind(disk, monkeypatch, added=added)
    (found,) = disk.look()
    assert (found.outcome, found.number) == ("taken", 1)
    assert found.snapshot == describe_snapshots(disk.store)[-1]["snapshot"]
    assert disk.look() == []
    assert len(describe_snapshots(disk.store)) == 1


def test_what_was_not_announced_is_announced_by_the_next_look(disk: Site) -> None:
    heard: list[NewFile] = []

    def look(*, taken: bool) -> list[NewFile]:
        def announce(file: NewFile) -> bool:
            heard.append(file)
            return taken

        return list(look_into(disk.inbox, disk.store, disk.corpus, None, announce))

    disk.drop("a.csv", "0,anna,0.5", age=90)
    disk.drop("b.csv", "0,anna,0.75", age=80)
    disk.drop("newer copy of a.csv", "0,anna,0.5", age=70)
    first = look(taken=False)
    assert [(file.outcome, file.number) for file in first] == [(TAKEN, n) for n in (1, 2, 1)]
    assert all("the next look sends it again" in file.said for file in first)
    disk.drop("older copy of a.csv", "0,anna,0.5", age=99)
    second = look(taken=True)
    assert [(file.name, file.outcome, file.number) for file in second] == [
        ("older copy of a.csv", TAKEN, 1),
        ("a.csv", REPEATED, None),
        ("b.csv", TAKEN, 2),
        ("newer copy of a.csv", REPEATED, None),
    ]
    assert [file.number for file in heard] == [1, 2, 1, 1, 2]
    assert look(taken=True) == []
    assert disk.joy() == [0.75]  # the correction stays
    assert len(describe_snapshots(disk.store)) == 2


def test_what_may_be_old_by_now_is_not_applied(disk: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    _killed_behind(disk, monkeypatch, added=False)
    add_labels(disk.store, _file(disk, "0,anna,0.75"), disk.corpus)
    (found,) = disk.look()
    assert found.outcome == "refused"
    assert "touch it" in found.said
    assert disk.joy() == [0.75]
    disk.drop("a.csv", "0,anna,0.5", age=40)
    assert disk.outcomes() == {"a.csv": "taken"}
    assert disk.joy() == [0.5]


def _file(site: Site, *lines: str) -> Path:
    path = Path(site.corpus).parent / "by hand.csv"
    path.write_text("\n".join(["filename,speaker,joy", *lines]))
    return path
