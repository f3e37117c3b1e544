"""The one thread budget of a machine: who may compute, on how many cores."""

from __future__ import annotations

import os
from dataclasses import dataclass

from emi_model.errors import ConfigError

CORES_PER_DECODER = 4
"""One decoder feeds this many scoring cores on a CPU machine: extraction is the lighter stage."""

MIN_DECODERS = 2
"""On a machine of a few cores one decoder would keep a small model waiting."""


@dataclass(frozen=True)
class Budget:
    """How one machine's cores are shared between the two stages.

    Attributes:
        cores: cores of this machine that this process may use.
        scorers: processes that hold the model.
        threads_per_scorer: PyTorch threads of each.
        decoders: extractions at a time; each runs one single-threaded ffmpeg.
        gpus_per_scorer: GPUs of each scorer; 0 on a CPU machine.
    """

    cores: int
    scorers: int
    threads_per_scorer: int
    decoders: int
    gpus_per_scorer: float


def machine_budget(
    workers: int | None = None, *, cores: int | None = None, gpus: int = 0
) -> Budget:
    """Divide a machine.

    With GPUs: a scorer a GPU, the cores decode. Without: the scorers have the cores, and a
    decoder for every four of them, two at least, runs beside, niced: it takes what they leave.

    Args:
        workers: scorers; default one, or one a GPU.
        cores: default: those that this process may use.
        gpus: GPUs of the machine.

    Raises:
        ConfigError: fewer than one worker.
    """
    cores = cores or available_cores()
    scorers = workers if workers is not None else max(1, gpus)
    if scorers < 1:
        raise ConfigError(f"workers is {workers}, expected 1 or more")
    if gpus:
        return Budget(cores, scorers, 1, max(1, cores - scorers), gpus / scorers)
    threads = max(1, cores // scorers)
    decoders = min(cores, max(MIN_DECODERS, cores // CORES_PER_DECODER))
    return Budget(cores, scorers, threads, decoders, 0.0)


def available_cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
