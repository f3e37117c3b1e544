from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emi_model.errors import ConfigError
from tasks.labels.splits import SPLITS, Placed, Shares, assign_splits


@st.composite
def labelled(draw: st.DrawFn, max_size: int = 40) -> list[Placed]:
    """Clips without a split; speakers and contents repeat, some speakers are unknown."""
    pairs = st.tuples(st.sampled_from(["", "", "anna", "ben", "cara", "dan"]), st.integers(0, 60))
    return [
        Placed(f"{number:03d}.wav", speaker, f"content{content}", "", number + 2)
        for number, (speaker, content) in enumerate(draw(st.lists(pairs, max_size=max_size)))
    ]


def shares() -> st.SearchStrategy[Shares]:
    share = st.sampled_from([0.0, 0.1, 0.2, 0.45])
    return st.builds(Shares, share, share)


def largest_group(clips: list[Placed], splits: dict[str, str]) -> int:
    """Return the size of the largest group that speakers and contents tie together."""
    groups = [{clip.clip_id} for clip in clips]
    for keys in ([clip.speaker for clip in clips], [clip.content_sha256 for clip in clips]):
        for key in filter(None, set(keys)):
            tied = {clip.clip_id for clip, own in zip(clips, keys, strict=True) if own == key}
            touching = [group for group in groups if group & tied]
            groups = [group for group in groups if not group & tied] + [set().union(*touching)]
    return max(map(len, groups), default=0)


class TestDrawn:
    @given(clips=labelled(), shares=shares(), seed=st.integers(0, 5))
    def test_no_speaker_and_no_content_stands_in_two_splits(
        self, clips: list[Placed], shares: Shares, seed: int
    ) -> None:
        splits, clashes = assign_splits(clips, [], shares, seed)
        assert clashes == []
        assert splits.keys() == {clip.clip_id for clip in clips}
        for keys in ([clip.speaker for clip in clips], [clip.content_sha256 for clip in clips]):
            found = {
                (key, splits[clip.clip_id]) for key, clip in zip(keys, clips, strict=True) if key
            }
            assert len(found) == len({key for key, _ in found})

    @given(clips=labelled(), shares=shares(), seed=st.integers(0, 5), order=st.randoms())
    def test_the_order_of_the_rows_does_not_matter(
        self, clips: list[Placed], shares: Shares, seed: int, order: Random
    ) -> None:
        shuffled = order.sample(clips, len(clips))
        first, _ = assign_splits(clips, [], shares, seed)
        assert assign_splits(shuffled, [], shares, seed)[0] == first

    @given(clips=labelled(), shares=shares(), seed=st.integers(0, 5))
    def test_no_split_has_a_group_more_than_its_share(
        self, clips: list[Placed], shares: Shares, seed: int
    ) -> None:
        splits, _ = assign_splits(clips, [], shares, seed)
        counts = Counter(splits.values())
        most = largest_group(clips, splits)
        for split in SPLITS:
            assert counts[split] <= shares.of(split) * len(clips) + most
            assert counts[split] == 0 or shares.of(split) > 0

    def test_clips_without_speakers_are_shared_out_exactly(self) -> None:
        clips = [Placed(f"{n}.wav", "", f"content{n}", "", n + 2) for n in range(100)]
        splits, _ = assign_splits(clips, [], Shares(0.2, 0.1), 1)
        assert Counter(splits.values()) == {"train": 70, "valid": 20, "test": 10}
        assert assign_splits(clips, [], Shares(0.2, 0.1), 2)[0] != splits

    @pytest.mark.parametrize(("num_speakers", "found"), [(1, {"train"}), (2, {"train", "valid"})])
    def test_no_split_stays_empty_if_there_is_a_speaker_for_it(
        self, num_speakers: int, found: set[str]
    ) -> None:
        clips = [
            Placed(f"{n}.wav", f"speaker{n % num_speakers}", f"content{n}", "", n + 2)
            for n in range(10)
        ]
        splits, _ = assign_splits(clips, [], Shares(0.1), 1)
        assert set(splits.values()) == found

    @pytest.mark.parametrize("wrong", [(-0.1, 0.0), (0.5, 0.5), (float("nan"), 0.0)])
    def test_shares_that_leave_nothing_to_train_on(self, wrong: tuple[float, float]) -> None:
        with pytest.raises(ConfigError, match="less than 1 together"):
            Shares(*wrong)


class TestGiven:
    @given(clips=labelled(), more=labelled(), seed=st.integers(0, 5))
    def test_what_has_a_split_keeps_it_and_takes_others_along(
        self, clips: list[Placed], more: list[Placed], seed: int
    ) -> None:
        splits, _ = assign_splits(clips, [], Shares(0.3, 0.2), seed)
        earlier = [clip._replace(split=splits[clip.clip_id], line=0) for clip in clips]
        again, clashes = assign_splits(clips, earlier, Shares(0.9), seed + 1)
        assert (again, clashes) == (splits, [])
        others = [clip._replace(clip_id=f"new/{clip.clip_id}") for clip in more]
        found, clashes = assign_splits(others, earlier, Shares(0.3, 0.2), seed)
        contents = {clip.content_sha256: clip.split for clip in earlier}
        speakers = {clip.speaker: clip.split for clip in earlier if clip.speaker}
        for clip in others:
            if not clashes:
                own = found[clip.clip_id]
                assert contents.get(clip.content_sha256, own) == own
                assert speakers.get(clip.speaker, own) == own

    def test_rows_of_one_file_decide_for_others(self) -> None:
        clips = [
            Placed("a.wav", "anna", "1", "valid", 2),
            Placed("b.wav", "anna", "2", "", 3),
            Placed("c.wav", "ben", "2", "", 4),
            Placed("d.wav", "ben", "3", "", 5),
        ]
        splits, clashes = assign_splits(clips, [], Shares(0.0), 1)
        assert set(splits.values()) == {"valid"}
        assert clashes == []


class TestClashes:
    def test_a_speaker_in_two_splits_is_named(self) -> None:
        clips = [
            Placed("a.wav", "anna", "1", "train", 2),
            Placed("b.wav", "anna", "2", "valid", 3),
            Placed("c.wav", "anna", "3", "valid", 4),
        ]
        _, clashes = assign_splits(clips, [], Shares(), 1)
        assert clashes == [(3, "speaker 'anna' is in train (a.wav) and in valid (b.wav)")]

    def test_a_content_in_two_splits_is_named_also_against_the_store(self) -> None:
        earlier = [Placed("old.wav", "", "same", "train")]
        clips = [Placed("new.wav", "", "same", "valid", 7)]
        _, clashes = assign_splits(clips, earlier, Shares(), 1)
        text = "the same audio (same) is in train (old.wav, in the store) and in valid (new.wav)"
        assert clashes == [(7, text)]

    def test_what_is_tied_to_two_splits_is_a_clash(self) -> None:
        earlier = [Placed("a.wav", "anna", "1", "train"), Placed("b.wav", "ben", "2", "valid")]
        clips = [Placed("c.wav", "anna", "3", "", 2), Placed("d.wav", "ben", "3", "", 3)]
        _, ((line, text),) = assign_splits(clips, earlier, Shares(), 1)
        assert line == 3
        assert text == "the same audio (3) is in train (c.wav) and in valid (d.wav)"

    def test_a_clips_split_never_changes(self) -> None:
        earlier = [Placed("a.wav", "anna", "1", "train")]
        clips = [Placed("a.wav", "anna", "1", "valid", 2)]
        _, clashes = assign_splits(clips, earlier, Shares(), 1)
        assert [line for line, _ in clashes] == [2]
        assert "a.wav is in valid here and in train in the store" in clashes[0].text
