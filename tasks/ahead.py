"""Clips one after the other, with the next ones on their way from object storage meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import NamedTuple

from tasks.clips import ClipFile, local_file
from tasks.fetching import Local
from tasks.media import Rejection

FETCHES_AHEAD = 4
"""Objects a worker fetches at a time: an answer takes as long as the extraction of a few clips."""


class AtHand(NamedTuple):
    """A clip, and its file on this node or why it is not to be had."""

    clip: ClipFile
    local: Local | Rejection


def at_hand(clips: Sequence[ClipFile]) -> Iterator[AtHand]:
    """Yield clips with their files; what was fetched is removed when the next one is asked for.

    Objects come in the order in which they are there: the room that one of them waits for may be
    what the others hold.

    Raises:
        CorpusError: a storage does not answer, or this node has no room to fetch to.
    """
    for clip in clips:
        if not clip.is_remote:
            with local_file(clip) as local:
                yield AtHand(clip, local)
    remote = deque(clip for clip in clips if clip.is_remote)
    fetching: set[Future[tuple[AtHand, ExitStack]]] = set()
    with ThreadPoolExecutor(FETCHES_AHEAD) as pool:
        try:
            while remote or fetching:
                while remote and len(fetching) < FETCHES_AHEAD:
                    fetching.add(pool.submit(_fetch, remote.popleft()))
                done, _ = wait(fetching, return_when=FIRST_COMPLETED)
                future = done.pop()
                fetching.remove(future)
                found, held = future.result()
                with held:
                    yield found
        finally:
            pool.shutdown(cancel_futures=True)
            for future in fetching:
                _let_go(future)


def _fetch(clip: ClipFile) -> tuple[AtHand, ExitStack]:
    with ExitStack() as held:
        found = AtHand(clip, held.enter_context(local_file(clip)))
        return found, held.pop_all()


def _let_go(future: Future[tuple[AtHand, ExitStack]]) -> None:
    if not future.cancelled() and future.exception() is None:
        _, held = future.result()
        held.close()
