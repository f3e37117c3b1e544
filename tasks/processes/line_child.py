"""A resident child process that answers each line with a line, and may crash without harm."""

from __future__ import annotations

import os
import selectors
import subprocess
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tasks.processes.bounded import kill_group, start_limited

_ATTEMPTS = 2
_MAX_ANSWER_BYTES = 4 * 1024**2
_PIECE_BYTES = 64 * 1024


class LineChild:
    """Handle on a child process; started at the first request, again after each of its deaths.

    Threads may share it; their requests wait for each other. Close it, or use it as a context
    manager.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Keep the command; nothing is started yet."""
        self._command = list(command)
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Process id of the child; None while there is none."""
        return self._child.pid if self._child else None

    def ask(self, request: bytes, timeout_seconds: float, payload: bytes = b"") -> bytes:
        """Return the child's answer, a line, to a request, a line of less than 4 KiB.

        Args:
            request: the line.
            timeout_seconds: wall-clock limit.
            payload: bytes that follow the line; the child reads all of them before it answers.

        Raises:
            TimeoutError: it did not answer in time; it was killed.
            EOFError: it died of this request twice, or its answer does not end.
        """
        deadline = time.monotonic() + timeout_seconds
        with self._lock:
            for _ in range(_ATTEMPTS):  # a first death may come from an earlier request
                if self._child is None:
                    self._child = start_limited(
                        self._command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
                    )
                try:
                    return _exchange(self._child, request, payload, deadline)
                except (BrokenPipeError, EOFError):
                    status = self._drop()
                except BaseException:  # also Ctrl-C: the next one asked would get this answer
                    self._drop()
                    raise
            raise EOFError(f"died with exit status {status}")

    def close(self) -> None:
        """End the child; a later request starts a new one."""
        with self._lock:
            self._drop()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def _drop(self) -> int | None:
        if self._child is None:
            return None
        child, self._child = self._child, None
        kill_group(child)
        return child.returncode


def _exchange(
    child: subprocess.Popen[bytes], request: bytes, payload: bytes, deadline: float
) -> bytes:
    """Return the answer's line.

    Raises:
        TimeoutError: it was not there at the deadline.
        BrokenPipeError: the child was dead.
        EOFError: the child died, or its answer does not end.
    """
    assert child.stdin is not None, "a pipe was asked for"
    assert child.stdout is not None, "a pipe was asked for"
    # Cannot block: the pipe is empty and the request is shorter than a pipe is wide.
    child.stdin.write(request)
    if payload:
        _send(child.stdin.fileno(), payload, deadline)
    answer = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while not answer.endswith(b"\n"):
            if not selector.select(max(deadline - time.monotonic(), 0.0)):
                raise TimeoutError
            piece = os.read(child.stdout.fileno(), _PIECE_BYTES)
            answer += piece
            if not piece or len(answer) > _MAX_ANSWER_BYTES:
                raise EOFError
    return bytes(answer)


def _send(pipe: int, payload: bytes, deadline: float) -> None:
    """Write as the child reads.

    Raises:
        TimeoutError: it had not read all at the deadline.
        BrokenPipeError: it is dead.
    """
    left = memoryview(payload)
    os.set_blocking(pipe, False)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_WRITE)
            while left:
                if not selector.select(max(deadline - time.monotonic(), 0.0)):
                    raise TimeoutError
                left = left[os.write(pipe, left[:_PIECE_BYTES]) :]
    finally:
        os.set_blocking(pipe, True)
