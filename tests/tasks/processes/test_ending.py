"""A process ends within seconds of Ctrl-C, also where a library swallows what it raises."""

from __future__ import annotations

import subprocess
import sys

import pytest

PREPARE = """
import os, signal, subprocess, sys, threading, time
from contextlib import suppress
from emi_model.errors import ServerError
from tasks.processes import ending

signal.signal(signal.SIGINT, signal.default_int_handler)
ending.LINE_SECONDS, ending.ORDER_SECONDS = 0.1, 0.4

def say(*words):
    print(*words, flush=True)

def press():
    os.kill(os.getpid(), signal.SIGINT)

ending.oversee(lambda: say("noticed"), lambda why: say("last", repr(why)))
"""


def run(code: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PREPARE + code],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout.splitlines()


def test_the_first_ctrl_c_raises_and_the_next_do_not_cut_the_end_short() -> None:
    code, lines = run("""
try:
    press()
except KeyboardInterrupt:
    press()
    say("cleared up", type(ending.cause()).__name__)
""")
    assert (code, lines) == (0, ["cleared up KeyboardInterrupt"])


def test_an_interrupt_that_is_swallowed_ends_the_process_all_the_same() -> None:
    """As it is in a destructor, a callback of compiled code, or a broad except."""
    code, lines = run("""
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with ending.recorded_by(lambda why: say("recorded", child.poll())):
    with suppress(KeyboardInterrupt):
        press()
    time.sleep(60)
""")
    # returns only when the child, which has the pipe, is gone too
    assert (code, lines) == (130, ["noticed", "recorded None", "last KeyboardInterrupt()"])


def test_a_record_that_fails_or_is_done_stops_nothing() -> None:
    code, lines = run("""
with ending.recorded_by(lambda why: say("the inner one")):
    pass
with ending.recorded_by(lambda why: say("the outer one")), ending.recorded_by(lambda why: 1 / 0):
    with suppress(KeyboardInterrupt):
        press()
    time.sleep(60)
""")
    assert (code, lines) == (130, ["noticed", "the outer one", "last KeyboardInterrupt()"])


@pytest.mark.parametrize("blocked", [False, True])
def test_another_thread_ends_the_wait_of_the_main_one(blocked: bool) -> None:
    """Runs of `emi up` block SIGINT."""
    code, lines = run(f"""
if {blocked}:
    signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGINT}})
threading.Timer(0.1, ending.end_with, [ServerError("it has died")]).start()
try:
    threading.Event().wait()
except ServerError as error:
    say(error, error is ending.cause(), ending.exit_code(error))
""")
    assert (code, lines) == (0, ["it has died True 2"])


def test_who_ends_by_itself_is_given_the_time() -> None:
    code, lines = run("""
ending.release()
try:
    press()
except KeyboardInterrupt:
    time.sleep(1)
    say("stopped", ending.cause())
""")
    assert (code, lines) == (0, ["stopped None"])


def test_a_notebook_can_be_interrupted_as_before() -> None:
    code, lines = run("""
ending.release()
for cause in ("first", "second"):
    try:
        with ending.listening():
            try:
                press()
            finally:
                raise OSError("what a library made of it")
    except KeyboardInterrupt:
        say(cause, ending.cause())
    try:
        press()
    except KeyboardInterrupt:
        say("the user's own code")
with suppress(OSError), ending.listening():
    raise OSError("another error")
""")
    own = "the user's own code"
    assert (code, lines) == (0, ["first None", own, "second None", own])


def test_an_error_that_nobody_sees_has_its_own_exit_code() -> None:
    code, lines = run("""
with suppress(ServerError):
    ending.end_with(ServerError("it has died"))
    time.sleep(60)
time.sleep(60)
""")
    assert (code, lines) == (2, ["last ServerError('it has died')"])


def test_where_nobody_listens_nothing_is_raised() -> None:
    code, lines = run("""
signal.signal(ending.DEATH, signal.SIG_IGN)
ending.end_with(ServerError("it has died"))
say(ending.cause())
""")
    assert (code, lines) == (0, ["None"])
