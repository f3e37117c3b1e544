"""Clips of a corpus that a store has no row for under any model: what a watch looks for."""

from __future__ import annotations

import time

from tasks.corpus.clips import ClipFile
from tasks.corpus.done import done_under_any_model, has_size_and_time, plan_clips
from tasks.corpus.listing import list_clips
from tasks.store.store import create_store

SETTLED_SECONDS = 20.0
"""A file that was modified less long ago may still be written."""

AHEAD_SECONDS = 3600.0
"""A storage's clock may be so far ahead; a file of a later time got it from a wrong clock."""


def clips_without_rows(corpus: str, results: str) -> list[ClipFile]:
    """Return the clips that are new, or have changed, since a store last had a row for them.

    Clips that may still be written are left for the next call.

    Args:
        corpus: folder, bucket or manifest.
        results: the results store; made if it is not there.

    Raises:
        CorpusError: no such corpus, or no clips in it.
        StoreError: the store is foreign or damaged.
    """
    clips = list_clips(corpus)
    create_store(results)
    done = done_under_any_model(results)
    plan = plan_clips(clips, done)
    new = (*plan.todo, *(clip for clip, _ in plan.reusable))
    # one whose content could not be read then, as it is too large, is nothing new
    met = {clip.clip_id for clip in new if has_size_and_time(clip, done.get(clip.clip_id))}
    return [clip for clip in new if is_settled(clip) and clip.clip_id not in met]


def is_settled(clip: ClipFile) -> bool:
    """Return whether a clip is there and was not modified lately; no clock says 1601 or 2300."""
    return clip.size is not None and not (clip.modified_ns and is_young(clip.modified_ns))


def is_young(modified_ns: int, seconds: float = SETTLED_SECONDS) -> bool:
    """Return whether a file was modified less than some seconds ago, and so may still be written.

    One from the far future, as of a camera with a wrong date, is not: it would wait for that day.
    """
    return -AHEAD_SECONDS < (time.time_ns() - modified_ns) / 1e9 < seconds
