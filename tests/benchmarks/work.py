"""What the benchmarks work on, and how they run and watch the command."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.training.recipes import demo
from tasks.synthetic.corpus import write_corpus

EMI = Path(sys.executable).parent / "emi"
MOST_CLIPS = int(os.environ.get("EMI_BENCH_CLIPS", "1000000"))
"""Of a corpus; ``EMI_BENCH_CLIPS`` for a trial."""

LOOK_SECONDS = 0.25
TRIES = 5
BETWEEN_LOOKS = 20
"""Times the seconds that the last look at memory took."""


@dataclass(frozen=True)
class Watched:
    """A finished command: seconds of wall clock, peak memory of all its processes in MiB."""

    seconds: float
    peak_mib: int
    exit_code: int


def make_model(folder: Path, config: EmiConfig | None = None) -> Path:
    """A model, the demo's if no other is asked for, with random weights: speed does not care."""
    torch.manual_seed(0)
    model = EmiModel(config or demo().model).eval()
    save_checkpoint(folder, model, ModelCard("bench", model.config.targets))
    return folder


def make_corpus(folder: Path, num_clips: int) -> Path:
    """120 clips of synthetic speech, H.264 + AAC in MP4, linked until there are enough."""
    written = write_corpus(folder.with_name(f"{folder.name}-voices"))
    folder.mkdir()
    clips = [written.folder / clip.clip_id for clip in written.clips]
    for index, clip in enumerate(itertools.islice(itertools.cycle(clips), num_clips)):
        home = folder / f"{index // 100:03d}"
        home.mkdir(exist_ok=True)
        os.link(clip, home / f"{index:05d}.mp4")
    return folder


def process(corpus: Path, results: Path, model: Path, *options: str) -> list[str]:
    """The command that processes a corpus."""
    named = map(str, (corpus, "--results", results, "--model", model, *options))
    return [str(EMI), "process", *named]


def usual_seconds(command: list[str]) -> float:
    """Return the median of the seconds that a command takes, of `TRIES`."""

    def seconds() -> float:
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - started

    return median(seconds() for _ in range(TRIES))


def watch(command: list[str]) -> Watched:
    """Run a command and measure its whole process tree: proportional set size, so shared once.

    That size costs 50 ms of a core a process: it is taken where the resident sizes, which cost
    nothing, are higher than ever before, and never in more than a twentieth of the time.
    """
    started = looked = time.perf_counter()
    peak, highest, took = 0, 0, 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        while running.poll() is None:
            processes = [psutil.Process(running.pid), *_below(running.pid)]
            resident, now = sum(map(_resident, processes)), time.perf_counter()
            if resident > highest and now - looked > BETWEEN_LOOKS * took:
                peak, highest = max(peak, sum(map(memory_of, processes))), resident
                looked = time.perf_counter()
                took = looked - now
            time.sleep(LOOK_SECONDS)
    return Watched(time.perf_counter() - started, peak >> 20, running.returncode)


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _resident(running: psutil.Process) -> int:
    try:
        return int(running.memory_info().rss)
    except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
        return 0


def memory_of(running: psutil.Process) -> int:
    try:
        return int(running.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
        return 0
