"""A command in a terminal of its own: keys reach its whole foreground group, as a person's do."""

import os
import pty
import subprocess
import sys
import threading
import time

CTRL_C = b"\x03"

START = """
import fcntl, os, signal, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
os.execv(sys.argv[1], sys.argv[1:])
"""
"""A shell in the background ignores SIGINT, and its children inherit that: it is set back."""


class PseudoTerminal:
    """A running command and all that it has written; a context manager that kills it."""

    def __init__(self, command, environment):
        self._master, slave = pty.openpty()
        words = [sys.executable, "-c", START, *map(str, command)]
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), slave)
        self.process = subprocess.Popen(words, env=environment, **streams)
        os.close(slave)
        self._pieces = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self._reader.join()
        os.close(self._master)

    @property
    def text(self):
        return b"".join(piece for _, piece in self._pieces).decode(errors="replace")

    def press(self, key):
        """Press a key; returns when."""
        pressed = time.monotonic()
        os.write(self._master, key)
        return pressed

    def seconds_until(self, word, since):
        """After how many seconds a word was first written."""
        text = b""
        for moment, piece in list(self._pieces):
            text += piece if moment >= since else b""
            if word.encode() in text:
                return moment - since
        raise AssertionError(f"{word!r} was not written: {self.text[-2000:]}")

    def read_all(self):
        """Wait until all that an ended command has written is read."""
        self._reader.join(10)

    def _read(self):
        while True:
            try:
                piece = os.read(self._master, 65536)
            except OSError:  # Linux: nobody has the terminal open any more
                return
            if not piece:
                return
            self._pieces.append((time.monotonic(), piece))


def keyboard_reaches(process):
    """The processes of the terminal's foreground group: those that a key is sent to."""
    import psutil

    def in_group(pid):
        try:
            return os.getpgid(pid) == process.pid
        except ProcessLookupError:
            return False

    below = psutil.Process(process.pid).children(recursive=True)
    return [child.name() for child in below if in_group(child.pid)]


def interrupted(terminal):
    """Press Ctrl-C; returns the exit code, if there was a line at once and an end in seconds.

    A command promises a line within 1 s, and to end within 10 s; tests run on busy machines.
    """
    pressed = terminal.press(CTRL_C)
    code = terminal.process.wait(60)
    assert time.monotonic() - pressed < 20
    terminal.read_all()
    assert "emi: interrupted" in terminal.text, (code, terminal.text[-2000:])
    assert terminal.seconds_until("emi: interrupted", pressed) < 5
    return code


def without_slow_start(text):
    """What a command wrote, but for its lines while libraries and servers start on a busy machine.

    Such a line names Prefect's server; nothing that Prefect itself writes may be on a terminal.
    """
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("emi: starting: "))
