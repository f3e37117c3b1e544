"""What several verbs do alike: show progress, keep other output from the terminal, write JSON."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from emi_model.devices import (
    MIN_BF16_HIDDEN,
    PROCESSOR,
    available_gpus,
    multiplies_int8_alone,
)
from emi_model.errors import ConfigError
from flows.display.terminal import message, redirect_output, terminal
from flows.server.events import api_url

SLOW_START_SECONDS = 10.0

KEPT_LOGS = 50
KEPT_SECONDS = 30 * 24 * 3600
"""Logs beyond so many are removed once they are this old."""

_LOG_NAME = re.compile(r"[a-z]+-\d+\.log")

_begun = Event()
_starting: list[Thread] = []  # of Prefect's temporary server, until a flow begins


def log_to(log: Path) -> None:
    """Prepare to run a flow.

    What libraries write goes to a log file, and no child process outlives this one. Where no
    Prefect server is named, a temporary one begins to start while the libraries load.
    """
    from flows.server import prestart
    from tasks.processes.guard import guard_this_process

    redirect_output(log)
    guard_this_process()
    server = prestart.temporary_server()
    if server is not None:
        _starting.append(server)
        _begun.clear()
        Thread(target=_report_slow_start, daemon=True).start()


def log_verb_to(logs: Path, verb: str) -> None:
    """Do so with a log file of this verb and process, in `EMI_HOME` where the folder takes none.

    A store that is only read, such as that of the labels, may be on a read-only disk.
    """
    from tasks.home import home

    name = f"{verb}-{os.getpid()}.log"
    for folder in (logs, home() / "logs"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        except OSError:
            continue
        remove_old_logs(folder)
        log_to(folder / name)
        return
    raise ConfigError(f"{home()}: takes no log file: set EMI_HOME to a folder that can be written")


def remove_old_logs(folder: Path) -> None:
    """Remove logs that `log_verb_to` made, but for the newest and all of the last days.

    The log of a command that still runs stays, whatever its age; so do files of other names.
    """
    logs = [path for path in folder.iterdir() if _LOG_NAME.fullmatch(path.name)]
    ages = {path: time.time() - path.stat().st_mtime for path in logs if path.exists()}
    for path in sorted(ages, key=ages.__getitem__)[KEPT_LOGS:]:
        pid = path.stem.rpartition("-")[2]
        if ages[path] > KEPT_SECONDS and not Path("/proc", pid).exists():
            with suppress(OSError):
                path.unlink()


def _report_slow_start() -> None:
    """Write now and then what is waited for, until a flow begins; imports may take long."""
    began = time.monotonic()
    while not _begun.wait(SLOW_START_SECONDS):
        waited = time.monotonic() - began
        message(f"starting: {waited:.0f} s so far for libraries and Prefect's server")


@contextmanager
def progress_bar() -> Iterator[None]:
    """Show how far the flow inside is, as a bar on standard error; say which server records it."""
    from flows.display.tables import ProgressBar
    from flows.server.prestart import watch_server
    from tasks.progress import observed_by

    while _starting:
        _starting.pop().join()
    _begun.set()
    watch_server()
    if (url := api_url()) is not None:
        message(f"recorded by the server {url}")
    with ProgressBar(terminal().err) as bar, observed_by(bar):
        yield


def write_json(rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line to standard output."""
    from tasks.storage.formats import write_json_lines

    write_json_lines(rows, terminal().out)


def report_missing_emi_scores(folder: Path) -> None:
    """Write one line if a model, in the public VAD model's layout, has no EMI scores."""
    from emi_model.checkpoints.resolve import is_ours

    if not is_ours(folder):
        message("this model gives arousal, dominance, valence alone: EMI scores will be null")


def offer_int8(folder: Path, precision: str, processor: Path = PROCESSOR) -> None:
    """Write one line where ``auto`` means float32 on this machine, and int8 would be faster.

    Args:
        folder: of the model; int8 is for models of audio alone.
        precision: as asked for.
        processor: file in which Linux describes this machine's.
    """
    from emi_model.checkpoints.metadata import read_config

    if precision != "auto" or not multiplies_int8_alone(processor) or available_gpus():
        return
    config = read_config(folder)
    width = config.get("backbone", config).get("hidden_size", 0)
    if width >= MIN_BF16_HIDDEN and not {"branches", "fusion"} & config.keys():
        message(
            "scores are computed in float32, as this processor has no bfloat16: --precision int8 "
            "is faster, and moved no score of 24 real clips by more than 0.02"
        )
