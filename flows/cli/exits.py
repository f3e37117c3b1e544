"""How the `emi` command ends: one line and an exit code, never a traceback.

| code | |
|---|---|
| 0 | done; `emi up`: told to stop, by Ctrl-C or SIGTERM |
| 1 | an error of ours; `emi check-backbone`: the model differs from its reference |
| 2 | what was asked cannot be done, one line says why |
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

import click

from emi_model.errors import EXIT_INTERRUPTED, EXIT_USAGE, EmiError
from flows.display.terminal import say, terminal

EXIT_BUG, EXIT_REJECTED = 1, 3

EXIT_DIFFERS = 1

UNREACHED = "Failed to reach API"
"""What Prefect says, in a bare RuntimeError, where a server that was named does not answer."""


@contextmanager
def quick_end() -> Iterator[None]:
    """Let the process end as soon as what ends with it has been cleared up.

    The interpreter would look through all that a run has loaded for garbage first: a second. Within
    this the process's last words are said, an exit is its exit code.
    """
    code: int | None = None  # an error that nothing caught is the interpreter's to tell

    def end() -> None:
        if code is None:
            return
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)

    atexit.register(end)  # first in, last out
    try:
        yield
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        raise


def run_to_exit(command: click.Group) -> None:
    """Run the command and turn what ends it into one line and an exit code."""
    try:
        command.main(standalone_mode=False)
    except click.ClickException as error:
        error.show(terminal().err)
        sys.exit(error.exit_code)
    except EmiError as error:
        say(str(error))
        sys.exit(EXIT_USAGE)
    except (KeyboardInterrupt, click.Abort):
        say("interrupted: what was committed stays; the same command goes on from there")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # whoever read stdout has left (`emi query ... | head`): nothing more to say to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 - the last resort: a line and a log, no traceback
        if str(error).startswith(UNREACHED):
            say(f"{error}: start Prefect's server, or unset PREFECT_API_URL")
            sys.exit(EXIT_USAGE)
        _report(error)
        sys.exit(EXIT_BUG)


def _report(error: Exception) -> None:
    """Name an error of ours; its traceback goes to the run's log, or to a file of its own."""
    log = terminal().log
    if log is None:
        descriptor, name = tempfile.mkstemp(prefix="emi-error-", suffix=".log")
        os.close(descriptor)
        log = Path(name)
    with log.open("a", encoding="utf-8") as file:
        traceback.print_exc(file=file)
    say(f"unexpected {type(error).__name__}: {error}; please report it with {log}")
