"""A child process that runs a function of this project and reports to this one.

Unlike a thread it can be ended at any moment, and where memory runs out the system ends it alone.
It is a new process, as a fork could not use PyTorch's threads, and it ends as soon as this one has
ended in whatever way.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from tasks.processes.bounded import kill_group
from tasks.processes.surroundings import NEUTRAL_FOLDER

Send = Callable[[Any], None]

START = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from tasks.processes.own_child import run_sent_work
run_sent_work(int(sys.argv[1]))
"""

STANDARD_ERROR = 2
"""Where the child's standard output goes too: that of a command may be JSON."""

KILLED_FIRST = "1000"
"""For Linux, which kills the process with the highest number where memory runs out; as Ray's do."""


class OwnChild:
    """A running child process.

    Attributes:
        pid: its process id.
    """

    def __init__(self, process: subprocess.Popen[bytes], messages: BinaryIO) -> None:
        """Take a process, and the end of the pipe that its messages come from."""
        self.pid = process.pid
        self._process, self._messages = process, messages

    def messages(self) -> Iterator[Any]:
        """Yield what the function sends, until the process ends; a signal interrupts the wait."""
        while True:
            try:
                message = pickle.load(self._messages)
            except (EOFError, pickle.UnpicklingError):
                return
            yield message

    def how_it_ended(self) -> str:
        """Wait until the process has ended; return how, in words."""
        status = self._process.wait()
        if status >= 0:
            return f"its process ended with exit status {status}"
        memory = ", as the system does where memory runs out" if status == -signal.SIGKILL else ""
        return f"its process was killed by signal {-status}{memory}"


@contextmanager
def own_child(
    function: Callable[[Any, Send], None], argument: Any, *, threads: int
) -> Iterator[OwnChild]:
    """Start a child process; after the block it is killed, with all that it has started.

    Args:
        function: of a module; called with the argument and a function that sends a message.
        argument: can be pickled, as every message.
        threads: of numeric libraries, unless ``OMP_NUM_THREADS`` is set.
    """
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as messages:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", START, str(writing)],
                env={"OMP_NUM_THREADS": str(threads), **os.environ},
                cwd=NEUTRAL_FOLDER,
                stdin=subprocess.PIPE,
                stdout=STANDARD_ERROR,
                pass_fds=[writing],
                start_new_session=True,  # no key of the terminal reaches it
            )
        finally:
            os.close(writing)
        try:
            _send_work(process, function, argument)
            yield OwnChild(process, messages)
        finally:
            with suppress(BrokenPipeError):  # an interrupt left some of the work unsent
                kill_group(process)


def _send_work(process: subprocess.Popen[bytes], function: Any, argument: Any) -> None:
    assert process.stdin is not None, "a pipe was asked for"
    work = pickle.dumps((function, argument))
    try:
        pickle.dump([str(Path(place).absolute()) for place in sys.path], process.stdin)
        pickle.dump(work, process.stdin)
        process.stdin.flush()
    except BrokenPipeError:  # the process has died, which who waits for its messages finds out
        with suppress(BrokenPipeError):
            process.stdin.close()


def run_sent_work(descriptor: int) -> None:
    """Run the function that the parent sends; only the child process calls this.

    Args:
        descriptor: of the pipe for messages.
    """
    work = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(OSError):  # macOS has no such file
        Path("/proc/self/oom_score_adj").write_text(KILLED_FIRST, encoding="ascii")
    function, argument = pickle.loads(work)
    with os.fdopen(descriptor, "wb") as messages:

        def send(message: Any) -> None:
            pickle.dump(message, messages)
            messages.flush()

        function(argument, send)


def _end_with_parent() -> None:
    """Wait for the end of standard input, whose other end closes with the parent."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(0, signal.SIGKILL)
