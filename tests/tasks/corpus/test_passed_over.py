from __future__ import annotations

from pathlib import Path

import pytest

from emi_model.errors import CorpusError
from tasks.corpus.listing import check_source, list_clips
from tasks.corpus.passed_over import PassedOver, in_words, kind_passed_over, most_frequent


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a/b.WAV", None),
        ("memo.qta", None),
        ("voice.3ga", None),
        ("TIMIT/dr1/sa1.sph", None),
        ("notes.txt", ".txt"),
        ("LICENSE", "no suffix"),
        ("a.b c\x1b[31m", "no suffix"),
        ("day/._clip.wav", "._*"),
        ("._day/clip.wav", "._*"),
        (".DS_Store", ".ds_store"),
        (".Trashes/501/clip.wav", ".trashes"),
        ("day/@eaDir/clip.mp4/SYNO_1.mp4", "@eadir"),
        (".Trash-1000/files/a.mp4", ".Trash-*"),
        ("lost+found/#12.mp4", "lost+found"),
        ("lost+found.mp4", None),
    ],
)
def test_kinds(name: str, kind: str | None) -> None:
    assert kind_passed_over(name) == kind


def test_a_folder_of_a_disk_with_its_rubbish(tmp_path: Path) -> None:
    for folder in (".Trashes", "@eaDir", "day/lost+found", "day/.Spotlight-V100"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "clip.wav").write_bytes(b"abc")
    for name in ("day/clip.wav", "day/._clip.wav", ".DS_Store", "a.txt", "b.txt"):
        (tmp_path / name).write_bytes(b"abc")
    passed = PassedOver()
    assert [clip.clip_id for clip in list_clips(str(tmp_path), passed=passed)] == ["day/clip.wav"]
    kinds = (".trashes", ".spotlight-v100", "@eadir", "lost+found", "._*", ".ds_store")
    assert passed == {".txt": 2} | dict.fromkeys(kinds, 1)
    assert in_words(passed).startswith("2 .txt, 1 ._*, 1 .ds_store, 1 .spotlight-v100")


def test_a_folder_with_nothing_else_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "speech.mrk").touch()
    for look in (list_clips, check_source):
        with pytest.raises(CorpusError, match=r"no media file .*; passed over 1 \.mrk$"):
            look(str(tmp_path))


def test_many_kinds_are_counted_together() -> None:
    passed = PassedOver({f".{number}": number for number in range(1, 12)})
    assert most_frequent(passed)["others"] == 1 + 2 + 3
    assert sum(most_frequent(passed).values()) == sum(passed.values())
