"""The measurements of `emi bench`: the speed of the model alone, then of the whole flow."""

from __future__ import annotations

import gc
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from emi_model.architecture.config import Precision
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.checkpoints.load import load_model
from emi_model.devices import available_cores
from emi_model.errors import ConfigError, ScoringError
from emi_model.speed.flops import FlopCounter
from emi_model.speed.measure import HIDDEN, LAYERS, measure, random_model
from emi_model.speed.noise_clips import draw_seconds
from emi_model.speed.report import ReportLine, Speed, rates, throughput_text
from emi_model.speed.throughput import ModelAlone, OnProgress, Throughput
from emi_model.units import seconds_to_samples
from tasks.progress import Observer, observed_by, observer
from tasks.synthetic.noise import write_noise

RANDOM_WEIGHTS = f"{LAYERS} layers of width {HIDDEN} (full size), random weights"

WHOLE_JOB_SECONDS = 60.0
"""The corpus is so large that the model alone would take about this long, within bounds."""

FEWEST_CLIPS, MOST_CLIPS = 128, 8_192

BYTES_A_CLIP = 100_000
"""Upper estimate of the disk space for a clip of the corpus and its rows."""


@dataclass(frozen=True)
class WholeJob(Throughput):
    """The throughput of `emi process` from files to committed rows, its start included.

    Attributes:
        first_rows_seconds: until the first block of rows, s.
        pipeline_cost: seconds over those of the model alone for the same clips.
        steady_cost: the same from the first block of rows to the last, without start and end; None
            if there was only one block.
    """

    first_rows_seconds: float
    pipeline_cost: float
    steady_cost: float | None


@dataclass(frozen=True)
class Bench:
    """The result of `emi bench`.

    Attributes:
        speed: the model alone.
        precision: that was measured.
        whole_job: the whole flow; None if it was not asked for.
    """

    speed: Speed
    precision: Precision
    whole_job: WholeJob | None

    @property
    def share_of_peak(self) -> float | None:
        """Return the whole job's operations a second over those of the fastest product."""
        if self.whole_job is None:
            return None
        peak = self.speed.peaks[self.speed.alone[self.precision].numerics]
        return self.whole_job.flops_per_second / peak.flops_per_second

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain types for JSON."""
        job = self.whole_job
        whole = job and {**rates(job), "share_of_peak": self.share_of_peak}
        return {**self.speed.to_dict(), "precision": self.precision, "whole_job": whole}

    def rows(self) -> list[ReportLine]:
        """Return each figure with its value, as text."""
        rows = self.speed.rows()
        job = self.whole_job
        if job is None:
            return rows
        steady = "-" if job.steady_cost is None else f"{job.steady_cost:.2f}"
        return [
            *rows,
            ("corpus", f"{job.num_clips} MP4 files of noise, AAC, no picture"),
            (
                "whole job, from files to committed rows",
                f"{throughput_text(job)}, {job.seconds:.1f} s",
            ),
            ("whole job: share of the peak", f"{self.share_of_peak:.2f}"),
            ("whole job: to the first rows", f"{job.first_rows_seconds:.1f} s"),
            ("pipeline cost: whole job over model alone", f"{job.pipeline_cost:.2f}"),
            ("pipeline cost without start and end", steady),
        ]


def run_bench(
    model: str | None,
    folder: Path,
    *,
    precision: Precision = "auto",
    seconds: float = 20.0,
    whole_job: bool = True,
    num_clips: int | None = None,
) -> Bench:
    """Measure this machine.

    Args:
        model: reference of a model; None: the full-size model with random weights.
        folder: empty; for the corpus, the results store and, if they are random, the weights.
        precision: to measure.
        seconds: for the model alone, about.
        whole_job: run the whole flow too.
        num_clips: of its corpus; default: as many as the model alone scores in a minute, from 128
            to 8,192.

    Raises:
        CheckpointError: the model cannot be loaded.
        ConfigError: the folder's disk is too small for the corpus and the weights.
        ScoringError: clips of the corpus were rejected.
        OutOfMemory: a clip does not fit into memory.
    """
    observer().begin("loading the model", None, "")
    if not torch.cuda.is_available():
        torch.set_num_threads(available_cores())
    loaded = random_model() if model is None else load_model(model).model
    name = RANDOM_WEIGHTS if model is None else model
    speed = measure(loaded, name, [precision], seconds=seconds, on_stage=_observed(seconds))
    if not whole_job:
        return Bench(speed, precision, None)
    alone = speed.alone[precision]
    durations = draw_seconds(num_clips or _affordable(alone), seed=2).tolist()
    _check_room(folder, 4 * speed.num_weights * (model is None) + BYTES_A_CLIP * len(durations))
    reference = model or _saved(loaded, folder / "model")
    flops_of = FlopCounter(loaded.config)
    del loaded  # the flow's scorer loads its own
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    job = _whole_job(folder, reference, precision, durations, flops_of, alone)
    return Bench(speed, precision, job)


def _whole_job(
    folder: Path,
    model: str,
    precision: Precision,
    durations: list[float],
    flops_of: FlopCounter,
    alone: ModelAlone,
) -> WholeJob:
    corpus = folder / "corpus"
    observer().begin("writing the corpus", len(durations), "clips")
    write_noise(corpus, durations, observer().reached)
    clock = _Clock(observer())
    with observed_by(clock):
        from flows.process import process_corpus  # the time to import it is part of the job

        record = process_corpus(
            str(corpus),
            str(folder / "results"),
            model,
            precision=precision,
            workers=1 if torch.cuda.is_available() else None,  # one GPU, as the model alone
            ray_address="local",  # this machine is to be measured, not a cluster
        )
        took = clock.seconds()
    if record["num_scored"] != len(durations):
        raise ScoringError(
            f"{record['num_rejected']} of {len(durations)} clips were rejected "
            f"({record['reasons']}), expected none: leave memory to the bench, or ask for fewer"
        )
    # an encoder fills up its last frame: files are a little longer than the drawn durations
    longer = record["audio_seconds"] / sum(durations)
    flops = round(longer * sum(flops_of(seconds_to_samples(each)).total for each in durations))
    alone_seconds = flops / alone.flops_per_second
    return WholeJob(
        num_clips=len(durations),
        audio_seconds=record["audio_seconds"],
        seconds=took,
        flops=flops,
        first_rows_seconds=clock.first_seconds,
        pipeline_cost=took / alone_seconds,
        steady_cost=clock.steady_seconds_per_clip(len(durations), alone_seconds),
    )


class _Clock(Observer):
    """Forwards a flow's progress, and records when its rows came."""

    def __init__(self, outer: Observer) -> None:
        self._outer = outer
        self._started = time.perf_counter()
        self._first = self._last = 0.0
        self._first_rows = self._rows = 0

    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self._started

    @property
    def first_seconds(self) -> float:
        """Seconds until the first rows."""
        return self._first

    def steady_seconds_per_clip(self, num_clips: int, alone_seconds: float) -> float | None:
        """Return seconds a clip between first and last rows over those of the model alone."""
        later = self._rows - self._first_rows
        if not later or self._last <= self._first:
            return None
        return (self._last - self._first) / later / (alone_seconds / num_clips)

    def begin(self, stage: str, total: int | None, unit: str) -> None:
        """Forward the call."""
        self._outer.begin(stage, total, unit)

    def advance(self, num_done: int, note: str = "") -> None:
        """Record when rows come, and forward the call."""
        self._last = self.seconds()
        self._rows += num_done
        if self._first_rows == 0:
            self._first, self._first_rows = self._last, num_done
        self._outer.advance(num_done, note)

    def reached(self, num_done: int, total: int) -> None:
        """Forward the call."""
        self._outer.reached(num_done, total)


def _observed(seconds: float) -> Any:
    """Return a function that reports the measurement's progress to the observer, in seconds."""

    def stage(name: str) -> OnProgress:
        total = max(1, round(seconds))
        observer().begin(name, None, "s")  # not every stage reports progress
        return lambda done, wanted: observer().reached(round(total * done / wanted), total)

    return stage


def _affordable(alone: ModelAlone) -> int:
    wanted = round(WHOLE_JOB_SECONDS * alone.num_clips / alone.seconds)
    return min(MOST_CLIPS, max(FEWEST_CLIPS, wanted))


def _check_room(folder: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise ConfigError(
            f"{folder.parent} has {free / 1e6:.0f} MB free, expected {num_bytes / 1e6:.0f} MB for "
            "a corpus and its results: make room, set TMPDIR to another folder, or --no-whole-job"
        )


def _saved(model: EmiModel, folder: Path) -> str:
    save_checkpoint(folder, model, ModelCard("bench", model.config.targets))
    return str(folder)
