"""How the `emi` command ends: one line and an exit code, never a traceback.

| code | |
|---|---|
| 0 | done; `emi up`, `emi browse`: stopped by Ctrl-C or SIGTERM |
| 1 | an error of ours; `emi check-backbone`: the model differs from its reference; `emi verify`:
      parts of the store are damaged |
| 2 | the command cannot be carried out, one line explains why |
| 3 | clips were rejected, and ``--strict`` was given |
| 130 | interrupted |
"""

from __future__ import annotations

import atexit
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import click

from emi_model.errors import EXIT_USAGE, EmiError
from flows.display.terminal import message, terminal
from tasks.processes import ending
from tasks.progress import take_remarks

EXIT_BUG, EXIT_REJECTED = 1, 3

EXIT_DIFFERS = 1

UNREACHED = "Failed to reach API"
"""Prefect's message, in a bare RuntimeError, if a configured server does not answer."""


_said_last: list[None] = []


@contextmanager
def quick_end() -> Iterator[None]:
    """Let Ctrl-C end the process within seconds, and no end take longer than it must.

    The process ends as soon as the exit functions of all libraries have run, with the exit code of
    the block inside: the interpreter would first collect garbage among everything that a run has
    loaded, for a second.
    """
    ending.oversee(_notice, _last_line)
    code: int | None = None  # stays None after an error that nothing caught: Python reports it

    def end() -> None:
        if code is None:
            return
        why = ending.cause()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code if why is None else ending.exit_code(why))

    atexit.register(end)  # the function registered first runs last
    try:
        yield
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        raise
    finally:
        ending.raise_no_more()


class PipedGroup(click.Group):
    """A command that is done where the program that read its output has ended (`... | head`)."""

    def invoke(self, context: click.Context) -> Any:
        """Run the verb; of a pipe that is closed click would make exit code 1."""
        try:
            return super().invoke(context)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for stream in (sys.stdout, terminal().out):
                with suppress(OSError, ValueError):
                    os.dup2(nowhere, stream.fileno())
            return None


def run_to_exit(command: click.Group) -> None:
    """Run the command and turn what ends it into one line and an exit code."""
    _said_last.clear()
    try:
        command.main(standalone_mode=False)
    except click.ClickException as error:
        error.show(terminal().err)
        sys.exit(error.exit_code)
    except (EmiError, KeyboardInterrupt, click.Abort) as error:
        _end(error)
    except Exception as error:  # noqa: BLE001 - the last resort: a line and a log, no traceback
        why = ending.cause()
        if why is not None:  # an error of a library that was interrupted
            _end(why)
        if str(error).startswith(UNREACHED):
            message(f"{error}: start Prefect's server, or unset PREFECT_API_URL")
            sys.exit(EXIT_USAGE)
        _report(error)
        sys.exit(EXIT_BUG)
    finally:
        for line in take_remarks():
            message(line)


def _end(error: BaseException) -> NoReturn:
    """End with the line and the exit code of an expected error, or of an interrupt."""
    if isinstance(error, click.Abort) and isinstance(error.__cause__, KeyboardInterrupt):
        error = error.__cause__
    why = error if isinstance(error, EmiError) else KeyboardInterrupt(*error.args)
    _last_line(why)
    sys.exit(ending.exit_code(why))


def _notice() -> None:
    if _said_last:
        return
    if terminal().err.isatty():
        terminal().err.write("\r\x1b[2K")  # in place of the progress bar, which is drawn anew below
    message("interrupted: ending in order, which takes some seconds")


def _last_line(why: ending.Cause) -> None:
    """Write why the process ends, once; an interrupt may bring what to write of it."""
    if _said_last:
        return
    _said_last.append(None)
    interrupted = isinstance(why, KeyboardInterrupt)
    message(f"interrupted: {str(why) or ending.GOES_ON}" if interrupted else str(why))


def _report(error: Exception) -> None:
    """Report an error of ours; its traceback goes to the run's log, or to a file of its own."""
    log = terminal().log
    if log is None:
        descriptor, name = tempfile.mkstemp(prefix="emi-error-", suffix=".log")
        os.close(descriptor)
        log = Path(name)
    with log.open("a", encoding="utf-8") as file:
        traceback.print_exc(file=file)
    message(f"unexpected {type(error).__name__}: {error}; please report it with {log}")
