"""A command's end: quick, but with its exit code, its last words, and what others clear up."""

import subprocess
import sys
from contextlib import suppress

import click
import pytest

from emi_model.errors import StoreError
from flows.cli.exits import run_to_exit
from tasks.progress import remark

CODE = """
import atexit, gc, os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from flows.cli.exits import quick_end

class Late:
    def __del__(self):
        print("looked through", flush=True)

def later():
    time.sleep(0.2)
    print("thread ended")

ring = [Late()]
ring.append(ring)
gc.disable()
with quick_end():
    atexit.register(print, "cleared up")
    threading.Thread(target=later).start()
    print("result")
    {end}
"""


def end(statement):
    code = CODE.format(end=statement)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("statement", "code"),
    [("pass", 0), ("sys.exit()", 0), ("sys.exit(3)", 3), ("sys.exit('why')", 1)],
)
def test_a_quick_end_keeps_the_exit_code_and_all_that_was_said(statement, code):
    ended = end(statement)
    assert ended.stdout.splitlines() == ["result", "thread ended", "cleared up"]
    assert ended.returncode == code
    assert ended.stderr == ("why\n" if "why" in statement else "")


def test_an_error_that_nothing_caught_ends_as_ever():
    ended = end("raise ValueError('of ours')")
    assert ended.returncode == 1
    assert ended.stderr.endswith("ValueError: of ours\n")
    assert "looked through" in ended.stdout


def test_the_command_ends_quickly_where_nobody_listens():
    command = [sys.executable, "-c", "from flows.cli.main import main; main()", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as left:
        left.stdout.close()
        assert b"Traceback" not in left.stderr.read()


@pytest.mark.parametrize("error", [None, StoreError("it failed")])
def test_what_a_user_must_know_is_said_once_at_the_end(error, capsys):
    @click.group()
    def group():
        pass

    @group.command()
    def verb():
        for _ in range(2):
            remark("folders are not synced")
        click.echo("result")
        if error is not None:
            raise error

    with suppress(SystemExit), pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["emi", "verb"])
        run_to_exit(group)
    out, err = capsys.readouterr()
    assert out == "result\n"
    assert err.splitlines() == ["emi: it failed"] * bool(error) + ["emi: folders are not synced"]


def test_a_reader_that_has_ended_is_no_error():
    code = (
        "import click, sys; from flows.cli.exits import PipedGroup, quick_end, run_to_exit\n"
        "@click.group(cls=PipedGroup)\ndef emi(): pass\n"
        "@emi.command()\ndef lines():\n    for _ in range(100000): print('x' * 100)\n"
        "sys.argv[1:] = ['lines']\nwith quick_end(): run_to_exit(emi)"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ended:
        ended.stdout.readline()
        ended.stdout.close()
        assert ended.stderr.read() == b""
    assert ended.returncode == 0


def test_ctrl_c_while_the_libraries_clear_up_lets_them_and_is_not_lost():
    ended = end("""atexit.register(lambda: (os.kill(os.getpid(), signal.SIGINT), print("all")))""")
    assert ended.stdout.splitlines()[-2:] == ["all", "cleared up"]
    assert (ended.returncode, ended.stderr) == (130, "")


def test_an_error_of_a_library_that_was_interrupted_is_an_interrupt():
    code = """
import os, signal
import click
from flows.cli.exits import quick_end, run_to_exit

@click.command()
def talk():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt as interrupt:
        raise ConnectionError("refused") from interrupt

signal.signal(signal.SIGINT, signal.default_int_handler)
with quick_end():
    run_to_exit(talk)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    said = "emi: interrupted: what was committed stays; the same command goes on from there\n"
    assert (ended.returncode, ended.stderr) == (130, said)
