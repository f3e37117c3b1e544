"""Run an outside program with limits on its time, its output and its memory."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import IO

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


@dataclass(frozen=True)
class Piped:
    """What is left of a program that wrote to pipes.

    Attributes:
        outputs: Of each pipe at most ``max_pipe_bytes`` bytes, however the run ended.
        exit_status: As of `Finished`; None if it was stopped here.
    """

    outputs: tuple[bytes, ...]
    exit_status: int | None


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
        assert process.stdout is not None, "a pipe was asked for"
        assert process.stderr is not None, "a pipe was asked for"
        stdout = _Stream(process.stdout, max_stdout_bytes)
        stderr = _Stream(process.stderr, stderr_tail_bytes, only_tail=True)
        end = _read([stdout, stderr], deadline)
        if end is _End.CLOSED and not _ended(process, deadline):
            end = _End.TIMED_OUT
        return Finished(
            stdout=bytes(stdout.kept),
            stderr_tail=stderr.kept.decode("utf-8", errors="replace"),
            exit_status=process.returncode,
            timed_out=end is _End.TIMED_OUT,
            over_limit=end is _End.OVER_LIMIT,
        )
    finally:
        kill_group(process)


def run_piped(
    args: Callable[[Sequence[int]], Sequence[str]],
    *,
    num_pipes: int,
    timeout_seconds: float,
    max_pipe_bytes: int,
    environment: Mapping[str, str],
) -> Piped:
    """Run a program that writes several outputs, as `run_bounded` does; what it says is dropped.

    Args:
        args: Given the file descriptors to write to, returns the program and its arguments.
        num_pipes: Number of outputs.
        timeout_seconds: Wall-clock seconds until the process group is killed.
        max_pipe_bytes: Bytes to keep of each output; one byte more of any ends the program.
        environment: Added to this process's own, which goes before it.

    Raises:
        OSError: The program cannot be started, or this process has too many files open.
    """
    deadline = time.monotonic() + timeout_seconds
    with ExitStack() as files:
        streams, ends = [], []
        for _ in range(num_pipes):
            reading, writing = map(files.enter_context, _open_pipe())
            streams.append(_Stream(reading, max_pipe_bytes))
            ends.append(writing)
        inherited = [end.fileno() for end in ends]
        process = start_limited(
            args(inherited),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=inherited,
            env={**environment, **os.environ},
        )
        try:
            for end in ends:  # else no pipe would ever be closed
                end.close()
            if _read(streams, deadline) is _End.CLOSED:
                _ended(process, deadline)
            outputs = tuple(bytes(stream.kept) for stream in streams)
            return Piped(outputs, process.returncode)
        finally:
            kill_group(process)


def start_limited(
    args: Sequence[str],
    *,
    stdin: int,
    stderr: int,
    stdout: int = subprocess.PIPE,
    pass_fds: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in its own session and process group; what is a pipe is unbuffered.

    On Linux its address space is limited to ``MEMORY_LIMIT_BYTES`` and it writes no core file.

    Raises:
        OSError: The program cannot be started.
    """
    process = subprocess.Popen(
        args,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=pass_fds,
        env=env,
        bufsize=0,
        start_new_session=True,
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


class _End(Enum):
    """Why reading a program's output ended."""

    CLOSED = auto()
    TIMED_OUT = auto()
    OVER_LIMIT = auto()


@dataclass
class _Stream:
    """A program's output: one with a limit, or one of which the tail is kept."""

    pipe: IO[bytes]
    max_bytes: int
    only_tail: bool = False
    kept: bytearray = field(default_factory=bytearray)

    def keep(self, piece: bytes) -> bool:
        """Keep what was read; returns whether the limit holds."""
        self.kept += piece
        if self.only_tail:
            del self.kept[: max(len(self.kept) - self.max_bytes, 0)]
        within = len(self.kept) <= self.max_bytes
        del self.kept[self.max_bytes :]
        return within


def _open_pipe() -> tuple[IO[bytes], IO[bytes]]:
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb", buffering=0), os.fdopen(writing, "wb", buffering=0)


def _read(streams: Sequence[_Stream], deadline: float) -> _End:
    """Read all pipes in turns until all are closed or a limit is reached."""
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream.pipe, selectors.EVENT_READ, stream)
        while selector.get_map():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return _End.TIMED_OUT
            for key, _ in selector.select(remaining):
                piece = os.read(key.fd, _PIECE_BYTES)
                if not piece:
                    selector.unregister(key.fileobj)
                if not key.data.keep(piece):
                    return _End.OVER_LIMIT
    return _End.CLOSED


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
