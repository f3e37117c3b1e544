"""The terminal while a run goes on: only ours; what Ray and Prefect write goes to a log file."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from flows.display.text import say

STDOUT, STDERR = 1, 2


@dataclass(frozen=True)
class Terminal:
    """The streams that a verb writes to.

    Attributes:
        out: results.
        err: progress and errors.
        log: where all other output goes; None before `redirect_output`.
    """

    out: TextIO
    err: TextIO
    log: Path | None = None


_CURRENT: list[Terminal] = []


def terminal() -> Terminal:
    """Return where to write now."""
    return _CURRENT[-1] if _CURRENT else Terminal(sys.stdout, sys.stderr)


def redirect_output(log: Path) -> None:
    """Redirect standard output and error of this process and its children to a log file, for good.

    On the level of file descriptors, since Ray's processes write past Python; for good, since both
    libraries still write while the interpreter ends. `terminal` gives the streams of before.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    log.parent.mkdir(parents=True, exist_ok=True)
    terminal_before = Terminal(
        _duplicate(STDOUT, sys.stdout.encoding), _duplicate(STDERR, sys.stderr.encoding), log
    )
    with log.open("ab") as file:
        os.dup2(file.fileno(), STDOUT)
        os.dup2(file.fileno(), STDERR)
    _CURRENT.append(terminal_before)


def _duplicate(descriptor: int, encoding: str) -> TextIO:
    return os.fdopen(
        os.dup(descriptor), "w", encoding=encoding, errors="backslashreplace", buffering=1
    )


def message(line: str) -> None:
    """Write a message, one line unless it lists something, to the terminal's standard error."""
    say(f"emi: {line}", terminal().err)
