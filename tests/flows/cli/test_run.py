"""What verbs do before a flow begins: old logs are removed, a slow start says what it waits for."""

import json
import os
import threading
import time

import pytest

from flows.cli import run
from flows.cli.run import KEPT_LOGS, KEPT_SECONDS, offer_int8, remove_old_logs

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


@pytest.mark.parametrize(
    ("precision", "flags", "config", "is_offered"),
    [
        ("auto", "avx2 avx_vnni", {"backbone": {"hidden_size": 1024}}, True),
        ("auto", "avx2 avx_vnni", {"hidden_size": 1024}, True),
        ("fp32", "avx2 avx_vnni", {"backbone": {"hidden_size": 1024}}, False),
        ("auto", "avx512_vnni avx512_bf16", {"backbone": {"hidden_size": 1024}}, False),
        ("auto", "avx2 avx_vnni", {"backbone": {"hidden_size": 96}}, False),
        (
            "auto",
            "avx_vnni",
            {"backbone": {"hidden_size": 1024}, "fusion": {"name": "gated"}},
            False,
        ),
    ],
)
def test_int8_is_offered_where_it_is_faster(tmp_path, capsys, precision, flags, config, is_offered):
    (tmp_path / "config.json").write_text(json.dumps(config))
    processor = tmp_path / "cpuinfo"
    processor.write_text(f"flags\t\t: {flags}\n")
    offer_int8(tmp_path, precision, processor)
    assert ("--precision int8" in capsys.readouterr().err) == is_offered


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
