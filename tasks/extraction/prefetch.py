"""Yields clips in groups and meanwhile fetches the next ones from object storage."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import ExitStack
from typing import NamedTuple

from tasks.corpus.clips import ClipFile
from tasks.corpus.fetching import Local
from tasks.extraction.audio import MAX_CLIPS_TOGETHER
from tasks.extraction.rows import local_file
from tasks.schema.outcomes import Rejection

FETCHES_AHEAD = 8
"""Objects a worker fetches at a time: a response takes as long as extracting a few clips."""

GROUP_WAIT_SECONDS = 0.05
"""How long a fetched object waits for others: decoding several together takes half the time. Not
longer, because the others may wait for the disk space that this one takes."""


class LocalClip(NamedTuple):
    """A clip, and its file on this node or the rejection if it has none."""

    clip: ClipFile
    local: Local | Rejection


def local_groups(clips: Sequence[ClipFile]) -> Iterator[list[LocalClip]]:
    """Yield groups of clips with their files, at most `MAX_CLIPS_TOGETHER`, at least one.

    A group's fetched files are removed when the next group is requested. Objects come in the order
    in which they arrive: one may wait for disk space that the others take.

    Raises:
        CorpusError: a storage does not answer, or this node has no disk space to fetch to.
    """
    files = [clip for clip in clips if not clip.is_remote]
    for start in range(0, len(files), MAX_CLIPS_TOGETHER):
        with ExitStack() as fetched:
            group = files[start : start + MAX_CLIPS_TOGETHER]
            yield [LocalClip(clip, fetched.enter_context(local_file(clip))) for clip in group]
    remote = deque(clip for clip in clips if clip.is_remote)
    fetching: set[Future[tuple[LocalClip, ExitStack]]] = set()
    if not remote:
        return
    with ThreadPoolExecutor(FETCHES_AHEAD) as pool:
        try:
            while remote or fetching:
                while remote and len(fetching) < FETCHES_AHEAD:
                    fetching.add(pool.submit(_fetch, remote.popleft()))
                with ExitStack() as fetched:
                    yield [_receive(future, fetched) for future in _arrived(fetching)]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for future in fetching:
                future.add_done_callback(_remove_file)  # at once: others may wait for its room


def _arrived(
    fetching: set[Future[tuple[LocalClip, ExitStack]]],
) -> Iterator[Future[tuple[LocalClip, ExitStack]]]:
    """Wait for one future, then briefly for the others; remove and yield those that are done."""
    wait(fetching, return_when=FIRST_COMPLETED)
    done, _ = wait(fetching, timeout=GROUP_WAIT_SECONDS, return_when=ALL_COMPLETED)
    for future in done:
        fetching.remove(future)
        yield future


def _receive(future: Future[tuple[LocalClip, ExitStack]], fetched: ExitStack) -> LocalClip:
    found, own = future.result()
    fetched.push(own)
    return found


def _fetch(clip: ClipFile) -> tuple[LocalClip, ExitStack]:
    with ExitStack() as fetched:
        found = LocalClip(clip, fetched.enter_context(local_file(clip)))
        return found, fetched.pop_all()


def _remove_file(future: Future[tuple[LocalClip, ExitStack]]) -> None:
    if not future.cancelled() and future.exception() is None:
        _, fetched = future.result()
        fetched.close()
