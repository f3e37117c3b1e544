"""How fast this machine is, as ratios of what is measured beside it, in one run.

For a machine without a GPU: batches against one clip a call, the shares of the processor's peak,
the whole job against the plain way and the model alone, its start, what reading and seeing add.
A row ends with what is to be reached. ``EMI_BENCH_CLIPS=18``, the fewest, is for a trial.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from emi_model.architecture.config import EmiConfig, Precision
from emi_model.architecture.model import EmiModel
from emi_model.audio.waveform import Int16Waveform
from emi_model.checkpoints.load import load_model
from emi_model.lanes import usual_lanes
from emi_model.predict import Predictor
from emi_model.speed.throughput import FEWEST_PER_CALL, score_plainly
from tasks.corpus.listing import list_clips
from tasks.scoring.stages.stage import CLIPS_PER_BLOCK
from tests.benchmarks.challenge import challenge_corpus
from tests.benchmarks.reading import reading
from tests.benchmarks.speed import ROUNDS, said, turn
from tests.benchmarks.whole import (
    NUM_ALONE,
    alone_rate,
    extracted,
    plain_rate,
    run_job,
    scored_in_blocks,
)
from tests.benchmarks.work import EMI, MOST_CLIPS, make_corpus, make_model, usual_seconds

Row = tuple[str, str, str]

NUM_MODEL_ALONE = min(64, MOST_CLIPS)
NUM_START = min(60, MOST_CLIPS)
CPU = torch.device("cpu")

JOBS = {min(120, MOST_CLIPS): "2.2", min(500, MOST_CLIPS): "3"}
"""Clips of a whole job: how many times as fast as the plain way it is to be."""

SHARES: dict[Precision, tuple[str, str]] = {
    "bf16": ("all operations of backbone and heads, no padding", "0.75"),
    "int8": ("likewise, those computed in bfloat16 or float32, too", "0.65"),
}
"""What a share of a type's matrix peak counts, and what is to be reached."""

SCORING_SHARE = "0.9"
FIRST_ROW_SECONDS, SCORE_SECONDS = 8.0, 2.0


def ratios(folder: Path, small: Path) -> Iterator[Row]:
    """Every ratio that is to be reached on a machine without a GPU, full-size model."""
    corpus = folder / "corpus"
    heard = challenge_corpus(corpus, max(JOBS))
    full = make_model(folder / "full", EmiConfig())
    waveforms = extracted(list_clips(str(corpus), NUM_ALONE))
    yield from _model_alone(full, waveforms[:NUM_MODEL_ALONE], heard)
    # the first run of all in an EMI_HOME is slower: it makes the tables of Prefect's server
    run_job(make_corpus(folder / "one", 1), folder / "results-one", small)
    yield from _whole_jobs(folder, corpus, full, waveforms)
    yield from _start(folder, small)
    yield from reading(folder / "reading", small)


def _model_alone(full: Path, clips: Sequence[Int16Waveform], heard: str) -> Iterator[Row]:
    model = load_model(str(full)).model.eval()
    plain, batched = _fp32_seconds(model, clips)
    yield (
        f"fp32, {len(clips)} clips of {heard}: in batches over one clip a call of the model as "
        "`transformers` runs it",
        f"**{plain / batched:.2f}** ({plain:.1f} against {batched:.1f} s)",
        "1.3",
    )
    asked = {name: Predictor(model, precision=name, device="cpu") for name in SHARES}
    for predictor in asked.values():
        predictor.lanes = usual_lanes(CPU)
    shares: dict[Precision, list[float]] = {name: [] for name in SHARES}
    for _ in range(ROUNDS):
        for name, predictor in asked.items():
            shares[name].append(turn(predictor, clips[:FEWEST_PER_CALL]).share)
    for name, (counted, reach) in SHARES.items():
        yield (
            f"{name}, model alone: share of its matrix peak ({counted})",
            said(shares[name]),
            reach,
        )


def _fp32_seconds(model: EmiModel, clips: Sequence[Int16Waveform]) -> tuple[float, float]:
    """Return the seconds of one clip a call and of blocks, in turns."""
    predictor = Predictor(model, precision="fp32", device="cpu")
    predictor.lanes = usual_lanes(CPU)
    predictor(clips[:2])
    plain = batched = 0.0
    for start in range(0, len(clips), CLIPS_PER_BLOCK):
        block = clips[start : start + CLIPS_PER_BLOCK]
        began = time.perf_counter()
        with torch.inference_mode():
            for clip in block:
                score_plainly(model, CPU, clip)
        half = time.perf_counter()
        deque(scored_in_blocks(predictor, block), maxlen=0)
        plain, batched = plain + half - began, batched + time.perf_counter() - half
    return plain, batched


def _whole_jobs(
    folder: Path, corpus: Path, full: Path, waveforms: Sequence[Int16Waveform]
) -> Iterator[Row]:
    plain = plain_rate(list_clips(str(corpus), min(JOBS)), full)
    for num_clips, reach in JOBS.items():
        job = run_job(corpus, folder / f"results-{num_clips}", full, "--limit", str(num_clips))
        alone = alone_rate(waveforms, full, "auto")
        name = f"whole job, {num_clips} clips, {job.audio_seconds:.0f} s of audio"
        yield (
            f"{name}: over one ffmpeg and one fp32 pass a clip",
            f"**{job.rate / plain:.2f}** ({job.rate:.1f} against {plain:.1f} x real time; "
            f"{job.seconds:.0f} s, start and end included)",
            reach,
        )
        yield (
            f"{name}: its scoring, first commit to last, over the model alone",
            f"**{job.scoring_rate / alone:.2f}** ({job.scoring_rate:.1f} against {alone:.1f} x "
            "real time)",
            SCORING_SHARE,
        )


def _start(folder: Path, small: Path) -> Iterator[Row]:
    corpus = make_corpus(folder / "start", NUM_START)
    first = run_job(corpus, folder / "results-start", small).first
    yield (
        f"command to first committed row, {NUM_START} clips, small model",
        *_of(first, FIRST_ROW_SECONDS),
    )
    clip = next(corpus.glob("*/*.mp4"))
    seconds = usual_seconds([str(EMI), "score", str(clip), "--model", str(small)])
    yield "`emi score` of one clip, small model", *_of(seconds, SCORE_SECONDS)


def _of(seconds: float, allowed: float) -> tuple[str, str]:
    return f"**{seconds / allowed:.2f}** of {allowed:g} s ({seconds:.2f} s)", "1 or less"
