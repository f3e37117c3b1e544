"""Run an outside program with limits on its time, its output and its memory."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

if sys.platform == "linux":
    import resource

MEMORY_LIMIT_BYTES = 4 * 1024**3
"""Address space of a child on Linux: ample for ffmpeg, a stop for a file that asks for more."""

STDERR_TAIL_BYTES = 8 * 1024
"""How much of a child's last words is kept."""

_PIECE_BYTES = 64 * 1024
_REAP_SECONDS = 5.0


@dataclass(frozen=True)
class Finished:
    """What is left of a program after its run.

    Attributes:
        stdout: At most ``max_stdout_bytes`` bytes, also after a timeout.
        stderr_tail: The last bytes of stderr as text, bytes that are no UTF-8 replaced.
        exit_status: As the program left it, minus the signal's number if a signal ended it;
            None if it was stopped here.
        timed_out: It was stopped because its time was up.
        over_limit: It was stopped because it wrote more than ``max_stdout_bytes``.
    """

    stdout: bytes
    stderr_tail: str
    exit_status: int | None
    timed_out: bool
    over_limit: bool


def run_bounded(
    args: Sequence[str],
    *,
    timeout_seconds: float,
    max_stdout_bytes: int,
    stderr_tail_bytes: int = STDERR_TAIL_BYTES,
) -> Finished:
    """Run a program without a shell or stdin, and stop its whole group when a limit is reached.

    A program that writes dies of its closed pipe if this process is killed.

    Args:
        args: The program and its arguments.
        timeout_seconds: Wall-clock seconds until the process group is killed.
        max_stdout_bytes: Bytes of stdout to keep; one byte more ends the program.
        stderr_tail_bytes: Bytes of stderr to keep, counted from its end.

    Returns:
        Its output and how it ended; a failing program is no exception.

    Raises:
        OSError: The program cannot be started.
    """
    deadline = time.monotonic() + timeout_seconds
    process = start_limited(args, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        output = _read_output(process, deadline, max_stdout_bytes, stderr_tail_bytes)
        timed_out = output.timed_out
        if not (timed_out or output.over_limit):
            timed_out = not _ended(process, deadline)
        return Finished(
            stdout=output.stdout,
            stderr_tail=output.stderr.decode("utf-8", errors="replace"),
            exit_status=process.returncode,
            timed_out=timed_out,
            over_limit=output.over_limit,
        )
    finally:
        kill_group(process)


def start_limited(args: Sequence[str], *, stdin: int, stderr: int) -> subprocess.Popen[bytes]:
    """Start a program in its own session and process group, with stdout as an unbuffered pipe.

    On Linux its address space is limited to ``MEMORY_LIMIT_BYTES`` and it writes no core file.

    Raises:
        OSError: The program cannot be started.
    """
    process = subprocess.Popen(
        args, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, bufsize=0, start_new_session=True
    )
    _limit_resources(process.pid)
    return process


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program of ``start_limited`` with all its children, reap it and close its pipes.

    One that has already been reaped is left alone: its number may belong to another by now.
    """
    if process.returncode is None:
        # macOS answers EPERM for a group in which only zombies are left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        # A process inside a stuck file system survives SIGKILL; we do not wait with it.
        with suppress(subprocess.TimeoutExpired):
            process.wait(_REAP_SECONDS)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


class _Output(NamedTuple):
    stdout: bytes
    stderr: bytes
    timed_out: bool = False
    over_limit: bool = False


def _read_output(
    process: subprocess.Popen[bytes], deadline: float, max_stdout: int, max_stderr: int
) -> _Output:
    """Read both pipes in turns until both are closed or a limit is reached."""
    stdout, stderr = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for pipe, kept in ((process.stdout, stdout), (process.stderr, stderr)):
            assert pipe is not None, "both pipes were asked for"
            selector.register(pipe, selectors.EVENT_READ, kept)
        while selector.get_map():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return _Output(bytes(stdout), bytes(stderr), timed_out=True)
            for key, _ in selector.select(remaining):
                piece = os.read(key.fd, _PIECE_BYTES)
                if not piece:
                    selector.unregister(key.fileobj)
                key.data.extend(piece)
            del stderr[: max(len(stderr) - max_stderr, 0)]
            if len(stdout) > max_stdout:
                del stdout[max_stdout:]
                return _Output(bytes(stdout), bytes(stderr), over_limit=True)
    return _Output(bytes(stdout), bytes(stderr))


def _ended(process: subprocess.Popen[bytes], deadline: float) -> bool:
    try:
        process.wait(max(deadline - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
        return False
    return True


def _limit_resources(pid: int) -> None:
    """Set the child's limits from outside, right after its start.

    Code between fork and exec (``preexec_fn``) can deadlock in a program with threads. macOS does
    not enforce a limit of the address space and writes no core files by default.
    """
    if sys.platform == "linux":
        with suppress(ProcessLookupError, PermissionError):
            _lower(pid, resource.RLIMIT_CORE, 0)
            _lower(pid, resource.RLIMIT_AS, MEMORY_LIMIT_BYTES)


if sys.platform == "linux":

    def _lower(pid: int, kind: int, limit: int) -> None:
        _, hard = resource.prlimit(pid, kind)
        lowered = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.prlimit(pid, kind, (lowered, hard))
