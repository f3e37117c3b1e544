"""The whole job with the full-size model: files in, committed rows out, against the plain way."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emi_model.architecture.config import EmiConfig, Precision
from emi_model.audio.waveform import Int16Waveform
from emi_model.checkpoints.load import load_model
from emi_model.errors import OutOfMemory
from emi_model.lanes import usual_lanes
from emi_model.predict import Predictor, Scores
from emi_model.speed.machine import matrix_peak
from emi_model.speed.measure import PEAK_SECONDS
from emi_model.speed.throughput import score_plainly
from emi_model.units import SAMPLING_RATE, samples_to_seconds
from tasks.corpus.clips import ClipFile
from tasks.corpus.listing import list_clips
from tasks.extraction.headers import Prober
from tasks.extraction.inputs import unpack
from tasks.extraction.rows import extract_clip
from tasks.scoring.stages.stage import CLIPS_PER_BLOCK
from tasks.store.query import answer
from tests.benchmarks.challenge import SPEECH, challenge_corpus
from tests.benchmarks.work import make_model, process

Row = tuple[str, str]

NUM_CLIPS, NUM_PLAIN, NUM_ALONE = 500, 32, 96
GFLOP_PER_AUDIO_SECOND = 21.0
"""Of the backbone; the heads come on top, and are not counted."""

PRECISIONS: tuple[Precision, ...] = ("auto", "int8")
LOOK_SECONDS = 0.2
NUM_DRIFT = 500
DRIFTING: tuple[Precision, ...] = ("fp32", "bf16", "int8")


_COMMITS = """
SELECT sum(scored_seconds) AS all_seconds, epoch(max(scored_at) - min(scored_at)) AS span,
    sum(scored_seconds) FILTER (scored_at > (SELECT min(scored_at) FROM scores)) AS later_seconds
FROM scores
"""


@dataclass(frozen=True)
class Job:
    """A run of `emi process`.

    Attributes:
        first: seconds from the command to its first committed row.
        seconds: to its end.
        audio_seconds: of audio scored.
        scoring_rate: seconds of audio a second, from the first commit to the last; NaN if there
            was but one.
        record: the run's own.
    """

    first: float
    seconds: float
    audio_seconds: float
    scoring_rate: float
    record: dict[str, Any]

    @property
    def rate(self) -> float:
        """Seconds of audio a second, start and end included."""
        return self.audio_seconds / self.seconds


def run_job(corpus: Path, results: Path, model: Path, *options: str) -> Job:
    """Process a corpus into a new store."""
    first, seconds = _first_row(process(corpus, results, model, *options), results)
    [record] = answer(results, "SELECT * FROM runs").to_pylist()
    [found] = answer(results, _COMMITS).to_pylist()
    steady = found["later_seconds"] / found["span"] if found["span"] else math.nan
    return Job(first, seconds, found["all_seconds"], steady, record)


def whole(folder: Path, _: Path) -> Iterator[Row]:
    """Seconds of audio a second, in each precision, against one ffmpeg and one pass a clip."""
    model = make_model(folder / "full", EmiConfig())
    corpus = folder / "corpus"
    heard = challenge_corpus(corpus, NUM_CLIPS)
    clips = list_clips(str(corpus))
    yield "corpus", f"{NUM_CLIPS} clips of {heard}, H.264 + AAC in MP4, durations of the challenge"
    peak = matrix_peak(torch.device("cpu"), "bf16", PEAK_SECONDS).flops_per_second
    plain = plain_rate(clips[:NUM_PLAIN], model)
    yield "plain way: one ffmpeg and one fp32 pass a clip", f"{plain:.2f} x real time"
    waveforms = extracted(clips[:NUM_ALONE])
    shares = {}
    for precision in PRECISIONS:
        job = run_job(corpus, folder / f"results-{precision}", model, "--precision", precision)
        alone = alone_rate(waveforms, model, precision)
        peak = max(peak, matrix_peak(torch.device("cpu"), "bf16", PEAK_SECONDS).flops_per_second)
        name = f"`emi process --precision {precision}`"
        took = f"{job.seconds:.0f} s, start and end included"
        yield f"{name}, whole job", f"{job.rate:.1f} x real time, {took}"
        yield f"{name} over the plain way", f"{job.rate / plain:.2f}"
        yield f"{name}, model alone", f"{alone:.1f} x real time, blocks of {CLIPS_PER_BLOCK}"
        yield f"{name}, whole job's time over model alone's", f"{alone / job.rate:.2f}"
        operations = GFLOP_PER_AUDIO_SECOND * job.audio_seconds
        shares[precision] = operations / job.record["wall_seconds"]
        steady = job.audio_seconds / job.record["score_seconds"]
        yield f"{name}, scorer while it scored", f"{steady:.1f} x real time"
        yield f"{name}, first committed row", f"after {job.first:.1f} s"
    yield "peak of bf16 products of matrices", f"{peak / 1e9:.0f} GFLOP/s"
    for precision, gflops in shares.items():
        yield f"share of it, backbone, `--precision {precision}`", f"{gflops / peak * 1e9:.2f}"


def drift(folder: Path, _: Path) -> Iterator[Row]:
    """How far scores in each precision are from float32, on 500 clips.

    Of the model that ``EMI_MODEL`` names, else of the full-size one with random weights.
    """
    corpus, heard = SPEECH, "real speech"
    if not corpus.is_dir():
        heard = challenge_corpus(corpus := folder / "corpus", NUM_DRIFT)
    waveforms = extracted(list_clips(str(corpus), NUM_DRIFT))
    yield "drift: clips", f"{len(waveforms)} of {heard}"
    named = os.environ.get("EMI_MODEL")
    yield "drift: model", named or "full size, random weights"
    model = load_model(named or str(make_model(folder / "full", EmiConfig()))).model
    scores: dict[Precision, np.ndarray] = {}
    for precision in DRIFTING:
        started = time.perf_counter()
        scores[precision] = _scores(Predictor(model, precision=precision), waveforms)
        speed = sum(map(len, waveforms)) / SAMPLING_RATE / (time.perf_counter() - started)
        yield f"drift: {precision}, speed", f"{speed:.1f} x real time"
        if precision != "fp32":
            yield f"drift: {precision}", compared(scores[precision], scores["fp32"])


def compared(found: np.ndarray, exact: np.ndarray) -> str:
    """Say how far scores (clips, columns) are from exact ones."""
    pearson = [np.corrcoef(a, b)[0, 1] for a, b in zip(found.T, exact.T, strict=True)]
    apart = np.abs(found - exact)
    return (
        f"largest difference {apart.max():.4f}, mean {apart.mean():.5f}; Pearson over clips "
        f"{min(pearson):.4f} or more (scores deviate by {exact.std(0).min():.4f} or more)"
    )


def _scores(predictor: Predictor, waveforms: Sequence[Int16Waveform]) -> np.ndarray:
    rows = []
    for one in scored_in_blocks(predictor, waveforms):
        assert isinstance(one, Scores), one
        assert one.emi is not None, "the model has targets"
        assert one.vad_mean is not None, "the model has a VAD head"
        rows.append(np.concatenate([one.emi, one.vad_mean]))
    return np.array(rows)


def scored_in_blocks(
    predictor: Predictor, waveforms: Sequence[Int16Waveform]
) -> Iterator[Scores | OutOfMemory]:
    """Score in blocks as large as a run's."""
    for start in range(0, len(waveforms), CLIPS_PER_BLOCK):
        yield from predictor(waveforms[start : start + CLIPS_PER_BLOCK])


def plain_rate(clips: Sequence[ClipFile], model: Path) -> float:
    """Return seconds of audio a second: what people do without this project, in one process."""
    network, cpu = load_model(str(model)).model.eval(), torch.device("cpu")
    done = 0
    with Prober() as prober, torch.inference_mode():
        started = time.perf_counter()
        for clip in clips:
            row = extract_clip(clip, max_seconds=12.0, timeout_seconds=60.0, prober=prober)
            waveform = unpack(row)["audio"]
            score_plainly(network, cpu, waveform)
            done += len(waveform)
    return samples_to_seconds(done) / (time.perf_counter() - started)


def extracted(clips: Sequence[ClipFile]) -> list[Int16Waveform]:
    """Decode clips, the first 12 s of each, int16 (samples,)."""
    with Prober() as prober:
        rows = [
            extract_clip(clip, max_seconds=12.0, timeout_seconds=60.0, prober=prober)
            for clip in clips
        ]
    return [unpack(row)["audio"] for row in rows]


def alone_rate(waveforms: Sequence[Int16Waveform], model: Path, precision: Precision) -> float:
    """Return seconds of audio a second: the model in one process, in blocks as large as a run's."""
    predictor = Predictor(load_model(str(model)).model, precision=precision)
    predictor.lanes = usual_lanes(predictor.device)
    predictor(waveforms[:2])
    started = time.perf_counter()
    deque(scored_in_blocks(predictor, waveforms), maxlen=0)
    return sum(map(len, waveforms)) / SAMPLING_RATE / (time.perf_counter() - started)


def _first_row(command: list[str], results: Path) -> tuple[float, float]:
    """Run the command; returns seconds to its first committed part, and to its end."""
    started, first = time.perf_counter(), list[float]()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_SECONDS) and not first:
            if any(part.stem != "empty" for part in (results / "scores").glob("*.parquet")):
                first.append(time.perf_counter() - started)

    looking = threading.Thread(target=look)
    looking.start()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    seconds = time.perf_counter() - started
    ended.set()
    looking.join()
    if done.returncode:
        sys.exit(f"the run ended with exit code {done.returncode}: {done.stderr.decode()[-500:]}")
    return first[0], seconds
