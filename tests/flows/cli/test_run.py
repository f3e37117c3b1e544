"""What verbs do before a flow begins: old logs are removed, a slow start says what it waits for."""

import os
import threading
import time

from flows.cli import run
from flows.cli.run import KEPT_LOGS, KEPT_SECONDS, remove_old_logs

NO_PID = 2**22 + 1
"""Beyond the largest pid of Linux."""


def test_old_logs_are_removed_and_nothing_else(tmp_path):
    long_ago = time.time() - KEPT_SECONDS - 60
    logs = [f"process-{NO_PID + number}.log" for number in range(KEPT_LOGS)]
    old = [f"train-{NO_PID}.log", f"up-{NO_PID}.log", f"up-{os.getpid()}.log", "prefect-server.log"]
    for name in [*logs, *old, "notes.txt"]:
        (tmp_path / name).write_text("a line")
        if name in (*old, "notes.txt"):
            os.utime(tmp_path / name, (long_ago, long_ago))
    remove_old_logs(tmp_path)
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {*logs, f"up-{os.getpid()}.log", "prefect-server.log", "notes.txt"}


def test_a_few_old_logs_stay(tmp_path):
    log = tmp_path / f"train-{NO_PID}.log"
    log.touch()
    os.utime(log, (0, 0))
    remove_old_logs(tmp_path)
    assert log.exists()


def test_a_slow_start_says_what_it_waits_for(monkeypatch, capsys):
    monkeypatch.setattr(run, "SLOW_START_SECONDS", 0.05)
    monkeypatch.setattr(run, "_begun", threading.Event())
    lines = threading.Thread(target=run._report_slow_start)
    lines.start()
    time.sleep(0.3)
    run._begun.set()
    lines.join()
    first, *_ = capsys.readouterr().err.splitlines()
    assert first == "emi: starting: 0 s so far for libraries and Prefect's server"
