"""How the `emi` command ends: one line and an exit code, never a traceback.

| code | |
|---|---|
| 0 | done; `emi up`: stopped by Ctrl-C or SIGTERM |
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
from typing import Any

import click

from emi_model.errors import EXIT_INTERRUPTED, EXIT_USAGE, EmiError
from flows.display.terminal import message, terminal
from tasks.progress import take_remarks

EXIT_BUG, EXIT_REJECTED = 1, 3

EXIT_DIFFERS = 1

UNREACHED = "Failed to reach API"
"""Prefect's message, in a bare RuntimeError, if a configured server does not answer."""


@contextmanager
def quick_end() -> Iterator[None]:
    """Let the process end as soon as the exit functions of all libraries have run.

    The interpreter would first collect garbage among everything that a run has loaded: a second.
    The process flushes its streams and ends with the exit code of the block inside.
    """
    code: int | None = None  # stays None after an error that nothing caught: Python reports it

    def end() -> None:
        if code is None:
            return
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)

    atexit.register(end)  # the function registered first runs last
    try:
        yield
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        raise


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
    try:
        command.main(standalone_mode=False)
    except click.ClickException as error:
        error.show(terminal().err)
        sys.exit(error.exit_code)
    except EmiError as error:
        message(str(error))
        sys.exit(EXIT_USAGE)
    except (KeyboardInterrupt, click.Abort):
        message("interrupted: what was committed stays; the same command goes on from there")
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last resort: a line and a log, no traceback
        if str(error).startswith(UNREACHED):
            message(f"{error}: start Prefect's server, or unset PREFECT_API_URL")
            sys.exit(EXIT_USAGE)
        _report(error)
        sys.exit(EXIT_BUG)
    finally:
        for line in take_remarks():
            message(line)


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
