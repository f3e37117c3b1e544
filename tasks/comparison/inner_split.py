"""What the training clips are split into, and what becomes of their labels for a control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from emi_model.errors import ConfigError, LabelError
from emi_model.training.clips import by_speaker
from tasks.labels.labelled_clips import CachedClip

SomeClips = tuple[CachedClip, ...]

SPLIT_SEED = 20
"""Of the draws; the same for every cell and seed, so that all learn from the same clips."""


def inner_split(clips: Sequence[CachedClip], share: float) -> tuple[SomeClips, SomeClips]:
    """Return the clips to learn from, and those to choose the epoch by; speakers stay whole.

    Args:
        clips: for training; one without a speaker counts as a speaker of its own.
        share: of the clips that choose, in (0, 1); as many speakers are taken as it needs.

    Raises:
        ConfigError: no such share.
        LabelError: all clips are of one speaker.
    """
    if not 0 < share < 1:
        raise ConfigError(f"the inner share is {share}, expected between 0 and 1")
    groups = by_speaker(clips)
    if len(groups) < 2:
        raise LabelError(
            "found training clips of one speaker, expected two or more, to choose the epoch by one "
            "that teaches nothing: label more speakers, or --set keep=last"
        )
    order = np.random.default_rng(SPLIT_SEED).permutation(len(groups))
    chosen = set[int]()
    for number in order[:-1]:  # one is left to learn from
        if len(chosen) >= share * len(clips):
            break
        chosen.update(groups[number])
    learnt = tuple(clip for place, clip in enumerate(clips) if place not in chosen)
    return learnt, tuple(clip for place, clip in enumerate(clips) if place in chosen)


def with_shuffled_labels(clips: Sequence[CachedClip]) -> SomeClips:
    """Return clips with the labels of others of them: nothing is left to be learnt."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(clips))
    return tuple(
        replace(
            clip,
            emi=clips[place].emi,
            vad=clips[place].vad,
            num_raters=clips[place].num_raters,
        )
        for clip, place in zip(clips, order, strict=True)
    )
