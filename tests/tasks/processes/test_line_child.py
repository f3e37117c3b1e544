from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tasks.processes.line_child import LineChild

ECHO = ["/bin/sh", "-c", "while read line; do sleep 0.3; echo $line; done"]


class Interrupted(Exception):
    """What a signal raises in the main thread, as Ctrl-C does."""


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with pytest.raises(Interrupted):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_interrupt_does_not_put_the_answers_off_by_one() -> None:
    """A finder of faces outlives a run that is interrupted in a notebook."""
    with LineChild(ECHO) as child:
        assert child.ask(b"zero\n", 60) == b"zero\n"
        with interrupted_after(0.1):
            child.ask(b"one\n", 60)
        assert child.ask(b"two\n", 60) == b"two\n"
