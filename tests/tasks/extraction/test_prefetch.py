from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest

from emi_model.errors import CorpusError
from tasks.corpus.clips import ClipFile
from tasks.corpus.fetching import Local
from tasks.corpus.listing import clip_file, list_clips
from tasks.extraction.audio import MAX_CLIPS_TOGETHER
from tasks.extraction.prefetch import FETCHES_AHEAD, local_groups
from tests.faulty_bucket import FaultyBucket


@pytest.fixture(autouse=True)
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the scratch folder."""
    monkeypatch.setenv("EMI_SCRATCH", str(tmp_path / "room"))
    monkeypatch.setenv("EMI_SCRATCH_BYTES", "1000")
    return tmp_path / "room"


def filled(faulty: FaultyBucket, *sizes: int) -> list[ClipFile]:
    faulty.objects = {f"{n}.wav": bytes(size) for n, size in enumerate(sizes)}
    return list_clips(faulty.uri)


def fetched_files(room: Path) -> list[Path]:
    return list(room.glob("emi-*"))


def test_files_come_as_they_are_and_objects_are_there_while_it_is_their_turn(
    faulty: FaultyBucket, tmp_path: Path, room: Path
) -> None:
    clips = filled(faulty, *[10] * 30)
    del faulty.objects["4.wav"]
    (tmp_path / "a.wav").write_bytes(b"abc")
    clips.insert(3, clip_file("a.wav", bytes(tmp_path / "a.wav")))
    seen = {}
    for group in local_groups(clips):
        assert len(group) <= FETCHES_AHEAD
        for clip, local in group:
            assert clip.clip_id not in seen
            seen[clip.clip_id] = isinstance(local, Local)
            if isinstance(local, Local):
                assert local.path.read_bytes() == (b"abc" if clip.clip_id == "a.wav" else bytes(10))
        assert len(fetched_files(room)) <= 2 * FETCHES_AHEAD
    assert seen == {clip.clip_id: clip.clip_id != "4.wav" for clip in clips}
    assert fetched_files(room) == []


def test_objects_that_do_not_fit_side_by_side_come_one_after_the_other(
    faulty: FaultyBucket, room: Path
) -> None:
    clips = filled(faulty, 900, 300, 800, 300, 300, 900, 1000, 10)
    num_clips = 0
    for group in local_groups(clips):
        num_clips += len(group)
        assert sum(path.stat().st_size for path in fetched_files(room)) <= 1000
        assert sum(clip.size or 0 for clip, _ in group) <= 1000
    assert num_clips == len(clips)


def test_files_of_a_disk_come_in_groups_in_their_order(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02d}.wav").write_bytes(b"abc")
    clips = list_clips(str(tmp_path))
    groups = [[clip for clip, _ in group] for group in local_groups(clips)]
    assert [len(group) for group in groups] == [MAX_CLIPS_TOGETHER, 20 - MAX_CLIPS_TOGETHER]
    assert [clip for group in groups for clip in group] == clips


def test_two_workers_share_the_room(faulty: FaultyBucket) -> None:
    clips = filled(faulty, *[700, 400, 200, 900] * 3)
    seen: list[str] = []

    def work(part: list[ClipFile]) -> None:
        seen.extend(clip.clip_id for group in local_groups(part) for clip, _ in group)

    workers = [threading.Thread(target=work, args=(clips[n::2],), daemon=True) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert sorted(seen) == sorted(clip.clip_id for clip in clips)


def test_who_stops_early_leaves_nothing(faulty: FaultyBucket, room: Path) -> None:
    with closing(local_groups(filled(faulty, *[10] * 20))) as groups:
        next(groups)
    assert fetched_files(room) == []
    assert len(faulty.asked) <= 1 + FETCHES_AHEAD  # the list, and what it began with


def test_who_stops_early_does_not_wait_for_room_that_it_holds_itself(
    faulty: FaultyBucket, room: Path
) -> None:
    groups = local_groups(filled(faulty, *[400] * FETCHES_AHEAD))
    next(groups)
    stopping = threading.Thread(target=groups.close, daemon=True)
    stopping.start()
    stopping.join(20)
    assert not stopping.is_alive()
    assert fetched_files(room) == []


def test_a_storage_that_goes_away_ends_it(faulty: FaultyBucket, room: Path) -> None:
    clips = filled(faulty, *[10] * 9)
    faulty.faults = dict.fromkeys(["", *faulty.objects], (503, "SlowDown"))
    with pytest.raises(CorpusError, match="does not answer"):
        list(local_groups(clips))
    assert fetched_files(room) == []
