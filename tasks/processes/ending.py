"""Ends this process before its work is done: at Ctrl-C, or if a process that it needs has died.

The main thread gets an exception and ends in order, as after any error. A library may swallow the
exception, or wait for somebody who does not answer: so another thread watches, and ends the process
itself some seconds later.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from emi_model.errors import EXIT_INTERRUPTED, EXIT_USAGE, EmiError
from tasks.processes.guard import kill_descendants

LINE_SECONDS = 0.5
"""After Ctrl-C; a process that has ended by then needs no line that it is going to."""

ORDER_SECONDS = 8.0
"""Time for the main thread to end in order."""

GOES_ON = "what was committed stays; the same command goes on from there"
"""What messages about an end add."""

DEATH = signal.SIGUSR2
"""Sent to the main thread by another one; not SIGINT, which the runs of `emi up` do not receive."""

Cause = KeyboardInterrupt | EmiError

_cause: Cause | None = None
_raised = False  # the exception is raised once: more of them would cut the end in order short
_records: list[Callable[[Cause], object]] = []


def cause() -> Cause | None:
    """Return why this process is being ended, or None."""
    return _cause


def exit_code(why: Cause) -> int:
    """Return the exit code of a process that is ended for this reason."""
    return EXIT_INTERRUPTED if isinstance(why, KeyboardInterrupt) else EXIT_USAGE


def end_with(error: EmiError) -> None:
    """Raise an error in the main thread, from any thread; only if it has listened before."""
    global _cause
    main = threading.main_thread().ident
    if _cause is None and main is not None and signal.getsignal(DEATH) is _interrupt:
        _cause = error
        signal.pthread_kill(main, DEATH)  # it also wakes a thread that waits


def raise_no_more() -> None:
    """Let what the main thread still does run to its end: from now on nothing is raised in it."""
    global _raised
    _raised = True


def listen() -> bool:
    """Let the first Ctrl-C, or `end_with`, raise in the main thread, and ignore all later ones.

    Does nothing in other threads, and to a signal that the program handles itself.

    Returns:
        Whether Ctrl-C is listened to from now on, and was not before.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    unhandled = {signal.SIGINT: signal.default_int_handler, DEATH: signal.SIG_DFL}
    found = [number for number, handler in unhandled.items() if signal.getsignal(number) is handler]
    for number in found:
        signal.signal(number, _interrupt)
    return signal.SIGINT in found


@contextmanager
def listening() -> Iterator[None]:
    """Listen while the block runs, and raise after it what ended it, whatever a library made of it.

    Afterwards Ctrl-C acts as before: the process may be a notebook's. Where this process listens
    anyway, as every `emi` command does, nothing changes.
    """
    global _cause, _raised
    if not listen():
        yield
        return
    try:
        yield
    except BaseException as error:
        if _cause is not None and error is not _cause:
            raise _cause from None
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _cause, _raised = None, False


def oversee(on_notice: Callable[[], object], on_force: Callable[[Cause], object]) -> None:
    """Listen, and end this process by force if that does not end it; call it in the main thread.

    Args:
        on_notice: called after Ctrl-C, in another thread, if the process has not ended by then.
        on_force: called before the process is ended by force.
    """
    listen()
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    # Python writes here as soon as a signal arrives, even while the main thread is in C code
    signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    attending = (reading, writing, on_notice, on_force)
    threading.Thread(target=_attend, args=attending, daemon=True, name="emi-ending").start()


def release() -> None:
    """Undo `oversee`: what runs now has an end in order of its own, which takes its time."""
    signal.set_wakeup_fd(-1)
    if signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def recorded_by(record: Callable[[Cause], object]) -> Iterator[None]:
    """Call a function if the process is ended by force while the block still runs."""
    _records.append(record)
    try:
        yield
    finally:
        _records.remove(record)


def _interrupt(_number: int, _frame: object) -> None:
    global _cause, _raised
    _cause = _cause or KeyboardInterrupt()
    if not _raised:
        _raised = True
        raise _cause


def _attend(
    reading: socket.socket,
    _writing: socket.socket,
    on_notice: Callable[[], object],
    on_force: Callable[[Cause], object],
) -> None:
    global _cause
    while not {signal.SIGINT, DEATH}.intersection(reading.recv(1)):
        pass
    began = time.monotonic()
    _cause = _cause or KeyboardInterrupt()
    time.sleep(LINE_SECONDS)
    if isinstance(_cause, KeyboardInterrupt):
        on_notice()
    time.sleep(max(0.0, began + ORDER_SECONDS - time.monotonic()))
    _end_by_force(_cause, on_force)


def _end_by_force(why: Cause, on_force: Callable[[Cause], object]) -> NoReturn:
    try:
        for record in reversed(_records):
            with suppress(Exception):
                record(why)
        with suppress(Exception):
            on_force(why)
        kill_descendants()
    finally:
        os._exit(exit_code(why))
