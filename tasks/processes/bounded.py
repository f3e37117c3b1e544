"""Run an outside program with limits on its time, its output and its memory.

Pipes are read here, not by ``Popen.communicate`` or from files under RLIMIT_FSIZE: the first keeps
output without limit, and a program that writes to a file lives on when this process is killed.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO, Any

MEMORY_LIMIT_BYTES = 4 * 1024**3
"""Address space of a child on Linux: ample for ffmpeg, a stop for a file that asks for more."""

STDERR_TAIL_BYTES = 8 * 1024
"""How much of the end of a child's stderr is kept."""

_PIECE_BYTES = 64 * 1024
_REAP_SECONDS = 5.0


@dataclass(frozen=True)
class Finished:
    """A program's output, and how the program ended.

    Attributes:
        outputs: Its stdout, or its pipes; at most the limit's bytes each, also after a timeout.
        stderr_tail: The last bytes of stderr as text, bytes that are no UTF-8 replaced.
        exit_status: The program's own, or minus the number of the signal that ended it; None if
            this module stopped the program.
        timed_out: This module stopped it at the time limit.
        over_limit: This module stopped it because it wrote too much to one output.
        stderr_is_cut: It wrote more to stderr than is kept.
    """

    outputs: tuple[bytes, ...]
    stderr_tail: str
    exit_status: int | None
    timed_out: bool
    over_limit: bool
    stderr_is_cut: bool = False

    @property
    def stdout(self) -> bytes:
        """Return the first output."""
        return self.outputs[0]


def run_bounded(
    args: Sequence[str],
    *,
    timeout_seconds: float,
    max_stdout_bytes: int,
    stderr_tail_bytes: int = STDERR_TAIL_BYTES,
) -> Finished:
    """Run a program without a shell or stdin, and stop its whole group when a limit is reached.

    If this process is killed, the program's next write to its closed pipe ends it.

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
    assert process.stdout is not None, "a pipe was asked for"
    return _finish(process, [process.stdout], max_stdout_bytes, stderr_tail_bytes, deadline)


def run_piped(
    args: Callable[[Sequence[int]], Sequence[str]],
    *,
    num_pipes: int,
    timeout_seconds: float,
    max_pipe_bytes: int,
    environment: Mapping[str, str],
    stderr_tail_bytes: int = STDERR_TAIL_BYTES,
) -> Finished:
    """Run a program that writes several outputs, as `run_bounded` does, without its stdout.

    Args:
        args: Given the file descriptors to write to, returns the program and its arguments.
        num_pipes: Number of outputs.
        timeout_seconds: Wall-clock seconds until the process group is killed.
        max_pipe_bytes: Bytes to keep of each output; one byte more of any ends the program.
        environment: Defaults for variables that this process's own environment does not set.
        stderr_tail_bytes: As for `run_bounded`.

    Raises:
        OSError: The program cannot be started, or this process has too many files open.
    """
    deadline = time.monotonic() + timeout_seconds
    with ExitStack() as files:
        outputs, ends = [], []
        for _ in range(num_pipes):
            reading, writing = os.pipe()
            outputs.append(files.enter_context(os.fdopen(reading, "rb", buffering=0)))
            ends.append(files.enter_context(os.fdopen(writing, "wb", buffering=0)))
        inherited = [end.fileno() for end in ends]
        process = start_limited(
            args(inherited),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=inherited,
            env={**environment, **os.environ},
        )
        for end in ends:  # else no pipe would ever be closed
            end.close()
        return _finish(process, outputs, max_pipe_bytes, stderr_tail_bytes, deadline)


def start_limited(
    args: Sequence[str], *, stdin: int, stderr: int, stdout: int = subprocess.PIPE, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a program in its own session and process group; its pipes are unbuffered.

    On Linux its address space is limited to ``MEMORY_LIMIT_BYTES`` and it writes no core file.

    Raises:
        OSError: The program cannot be started.
    """
    process = subprocess.Popen(
        args,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        bufsize=0,
        start_new_session=True,
        **options,
    )
    _limit_resources(process.pid)
    return process


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program of `start_limited` and all its children, reap it and close its pipes.

    A program that was reaped before gets no signal: its pid may belong to another by now.
    """
    if process.returncode is None:
        # macOS answers EPERM for a group in which only zombies are left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        # A process inside a stuck file system survives SIGKILL; this one does not wait for it.
        with suppress(subprocess.TimeoutExpired):
            process.wait(_REAP_SECONDS)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _finish(
    process: subprocess.Popen[bytes],
    outputs: Sequence[IO[bytes]],
    max_bytes: int,
    stderr_tail_bytes: int,
    deadline: float,
) -> Finished:
    """Read what a program writes until it ends or reaches a limit, then kill what is left of it."""
    assert process.stderr is not None, "a pipe was asked for"
    kept = {pipe: bytearray() for pipe in (*outputs, process.stderr)}
    timed_out = over_limit = stderr_is_cut = False
    try:
        for pipe, piece in _pieces(kept, deadline):
            kept[pipe] += piece
            if pipe is process.stderr:
                num_over = max(len(kept[pipe]) - stderr_tail_bytes, 0)
                stderr_is_cut |= num_over > 0
                del kept[pipe][:num_over]
            elif len(kept[pipe]) > max_bytes:
                over_limit = True
                break
        else:
            process.wait(max(deadline - time.monotonic(), 0.0))
    except (TimeoutError, subprocess.TimeoutExpired):
        timed_out = True
    finally:
        kill_group(process)
    return Finished(
        outputs=tuple(bytes(kept[pipe][:max_bytes]) for pipe in outputs),
        stderr_tail=kept[process.stderr].decode("utf-8", errors="replace"),
        exit_status=None if timed_out or over_limit else process.returncode,
        timed_out=timed_out,
        over_limit=over_limit,
        stderr_is_cut=stderr_is_cut,
    )


def _pieces(pipes: Iterable[IO[bytes]], deadline: float) -> Iterator[tuple[IO[bytes], bytes]]:
    """Yield what is written to any of several pipes until all are closed.

    Raises:
        TimeoutError: One is open at the deadline.
    """
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ, pipe)
        while selector.get_map():
            ready = selector.select(max(deadline - time.monotonic(), 0.0))
            if time.monotonic() >= deadline:
                raise TimeoutError
            for key, _ in ready:
                piece = os.read(key.fd, _PIECE_BYTES)
                if not piece:
                    selector.unregister(key.fileobj)
                yield key.data, piece


def _limit_resources(pid: int) -> None:
    """Set the child's limits from outside, right after its start.

    Code between fork and exec (``preexec_fn``) can deadlock in a program with threads. macOS does
    not enforce a limit of the address space and writes no core files by default.
    """
    if sys.platform == "linux":
        import resource

        limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_AS: MEMORY_LIMIT_BYTES}
        with suppress(ProcessLookupError, PermissionError):
            for kind, limit in limits.items():
                _, hard = resource.prlimit(pid, kind)
                lowered = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
                resource.prlimit(pid, kind, (lowered, hard))
