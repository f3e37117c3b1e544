"""Splits: which clips train a model and which evaluate it, never mixed.

A speaker or an audio content that stands in two splits makes a model look better than it is: the
validation score of 0.691 that the challenge's authors left in a checkpoint's name almost certainly
comes from training on validation clips.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from emi_model.errors import ConfigError

Split = Literal["train", "valid", "test"]
TRAIN, VALID, TEST = SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Shares:
    """How many of all labelled clips the splits shall have, as far as that is ours to say.

    Attributes:
        valid: share in [0, 1).
        test: share in [0, 1); the rest is for training.
    """

    valid: float = 0.2
    test: float = 0.0

    def __post_init__(self) -> None:
        """Check the shares."""
        if not (self.valid >= 0 and self.test >= 0 and self.valid + self.test < 1):
            raise ConfigError(
                f"shares of {self.valid} for valid and {self.test} for test, expected 0 or more "
                "and less than 1 together"
            )

    def of(self, split: str) -> float:
        """Return the share of a split."""
        return {TRAIN: 1 - self.valid - self.test, VALID: self.valid, TEST: self.test}[split]


class Placed(NamedTuple):
    """A labelled clip as far as its split depends on it.

    Attributes:
        clip_id: the clip.
        speaker: who speaks; empty if unknown.
        content_sha256: hash of its file; None if unknown.
        split: its split; empty where it has none yet.
        line: its line in the label file; 0 for a clip of an earlier snapshot.
    """

    clip_id: str
    speaker: str
    content_sha256: str | None
    split: str
    line: int = 0


class Clash(NamedTuple):
    """A speaker, content or clip in two splits: the line that brought it, and what to say of it."""

    line: int
    text: str


Key = tuple[str, str]


def assign_splits(
    new: Sequence[Placed], earlier: Sequence[Placed], shares: Shares, seed: int
) -> tuple[dict[str, str], list[Clash]]:
    """Give every new clip a split.

    A clip keeps the split that it has; one without takes that of its speaker or its content. Those
    that nothing ties to a split are grouped by speaker and content, the groups shuffled, and each
    given to the split that lacks the most clips. The order of the clips does not matter.

    Args:
        new: clips of a label file, each once.
        earlier: clips of earlier snapshots, all with a split.
        shares: wanted of all clips together.
        seed: of the shuffling.

    Returns:
        Splits of the new clips by clip id, and what stands in two splits; then nothing may be kept.
    """
    moved, clashes = _kept(new, earlier)
    clips = sorted([*earlier, *moved], key=lambda clip: (clip.line > 0, clip.clip_id))
    holders = _holders(clips)
    splits = _spread({n: clip.split for n, clip in enumerate(clips) if clip.split}, clips, holders)
    groups = list(_groups([n for n in range(len(clips)) if n not in splits], clips, holders))
    for group, split in _allotted(groups, splits.values(), shares, seed):
        splits |= dict.fromkeys(group, split)
    clashes += _clashes(clips, holders, splits)
    return {clips[n].clip_id: splits[n] for n in splits if clips[n].line}, clashes


def _kept(new: Iterable[Placed], earlier: Iterable[Placed]) -> tuple[list[Placed], list[Clash]]:
    """Return the new clips with the splits that they had before."""
    before = {clip.clip_id: clip.split for clip in earlier}
    kept, clashes = [], []
    for clip in new:
        split = before.get(clip.clip_id, clip.split)
        if clip.split and clip.split != split:
            text = f"{clip.clip_id} is in {clip.split} here and in {split} in the store"
            clashes.append(Clash(clip.line, f"{text}: a clip's split never changes"))
        kept.append(clip._replace(split=split))
    return kept, clashes


def _keys(clip: Placed) -> Iterator[Key]:
    """Yield what may stand in one split alone."""
    if clip.speaker:
        yield "speaker", clip.speaker
    if clip.content_sha256:
        yield "content", clip.content_sha256


def _holders(clips: Sequence[Placed]) -> Mapping[Key, list[int]]:
    holders = defaultdict(list)
    for number, clip in enumerate(clips):
        for key in _keys(clip):
            holders[key].append(number)
    return holders


def _spread(
    seeds: Mapping[int, str], clips: Sequence[Placed], holders: Mapping[Key, list[int]]
) -> dict[int, str]:
    """Return the splits of these clips and of all that speakers and contents tie to them."""
    splits, waiting, seen = dict(seeds), list(seeds), set[Key]()
    for number in waiting:  # grows as it goes
        for key in _keys(clips[number]):
            if key in seen:
                continue
            seen.add(key)
            tied = [other for other in holders[key] if other not in splits]
            splits |= dict.fromkeys(tied, splits[number])
            waiting += tied
    return splits


def _groups(
    free: Sequence[int], clips: Sequence[Placed], holders: Mapping[Key, list[int]]
) -> Iterator[list[int]]:
    """Yield the clips without a split by what ties them together, the first by clip id first."""
    grouped: set[int] = set()
    for number in free:
        if number not in grouped:
            group = sorted(_spread({number: ""}, clips, holders))
            grouped |= set(group)
            yield group


def _allotted(
    groups: Sequence[list[int]], given: Iterable[str], shares: Shares, seed: int
) -> Iterator[tuple[list[int], str]]:
    """Yield each group with its split."""
    wanted = [split for split in SPLITS if shares.of(split) > 0]
    counts = dict.fromkeys(SPLITS, 0)
    for split in given:
        counts[split] += 1
    total = sum(counts.values()) + sum(map(len, groups))
    order = np.random.default_rng(seed).permutation(len(groups))
    for num_left, place in zip(range(len(groups), 0, -1), order, strict=True):
        empty = [split for split in wanted if not counts[split]]
        # the last groups are for splits that would stay empty
        candidates = empty if num_left <= len(empty) else wanted
        split = max(candidates, key=lambda name: shares.of(name) * total - counts[name])
        counts[split] += len(groups[place])
        yield groups[place], split


def _clashes(
    clips: Sequence[Placed], holders: Mapping[Key, list[int]], splits: Mapping[int, str]
) -> Iterator[Clash]:
    """Yield what stands in two splits, once each pair of splits."""
    for key, numbers in holders.items():
        first: dict[str, Placed] = {}
        for number in numbers:
            first.setdefault(splits[number], clips[number])
        split, *others = first
        for other in others:
            yield _clash(key, (first[split], split), (first[other], other))


def _clash(key: Key, one: tuple[Placed, str], other: tuple[Placed, str]) -> Clash:
    kind, name = key
    what = f"speaker {name!r}" if kind == "speaker" else f"the same audio ({name[:12]})"
    where = " and ".join(
        f"in {split} ({clip.clip_id}{'' if clip.line else ', in the store'})"
        for clip, split in (one, other)
    )
    return Clash(max(one[0].line, other[0].line), f"{what} is {where}")
