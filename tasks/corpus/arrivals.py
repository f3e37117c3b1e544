"""Clips of a corpus that a store has no row for under any model: what a watch looks for."""

from __future__ import annotations

import time

from tasks.corpus.clips import ClipFile
from tasks.corpus.done import done_under_any_model, has_size_and_time, plan_clips
from tasks.corpus.listing import list_clips
from tasks.store.store import create_store

SETTLED_SECONDS = 20.0
"""A file that was modified less long ago may still be written."""


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
    young = time.time_ns() - int(SETTLED_SECONDS * 1e9)
    return clip.size is not None and (clip.modified_ns is None or clip.modified_ns <= young)
