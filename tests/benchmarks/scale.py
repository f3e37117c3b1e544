"""100,000 clips planned and committed: what grows with a corpus when the model does not count.

A stub stands in for the model, and, since extraction would take an hour on two cores, one for the
decoder; listing, planning, hashing, Ray Data, commits, compaction, Prefect's server are real.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import ray

from emi_model.audio.waveform import measure_levels
from emi_model.predict import Predictor, Scores
from tasks.corpus.clips import ClipFile
from tasks.extraction.inputs import pack
from tasks.extraction.rows import listed_row
from tasks.processes.prefect_server import PrefectServer, free_port
from tasks.schema.outcomes import Status
from tasks.schema.scores import COSTS, EXTRACTED
from tasks.scoring.settings import ScoringSettings
from tasks.scoring.stages.ledger import EXTRACT, this_worker
from tasks.store.query import answer
from tests.benchmarks.work import memory_of

Row = tuple[str, str]

NUM_CLIPS, FEWER = 100_000, 10_000
CLIPS_A_FOLDER = 1_000
NUM_FRAMES = 345
"""Of 6.9 s, the mean of the challenge's clips."""

WAVEFORM = np.random.default_rng(0).integers(-9_000, 9_000, NUM_FRAMES * 320, np.int16)
LOOK_SECONDS = 0.5


def scale(folder: Path, model: Path) -> Iterator[Row]:
    """Planning, Prefect's database and memory over 10,000 and 100,000 clips, stubs for the rest."""
    yield "stubs", "for the model and for the decoder; all else is real"
    peaks = {}
    for count in (FEWER, NUM_CLIPS):
        site = folder / str(count)
        corpus = _corpus(site / "clips", count)
        environment = {**os.environ, "PREFECT_HOME": str(site / "prefect")}
        os.environ["PREFECT_HOME"] = environment["PREFECT_HOME"]
        with PrefectServer("127.0.0.1", free_port("127.0.0.1", 0), site / "server.log") as server:
            server.wait(lambda _: None)
            environment["PREFECT_API_URL"] = f"{server.url}/api"
            seconds, driver, tree = _run(corpus, site / "results", model, environment)
            again, _, _ = _run(corpus, site / "results", model, environment)
        peaks[count] = driver, tree
        first, second = answer(
            site / "results",
            "SELECT num_scored, num_skipped, list_seconds, wall_seconds FROM runs ORDER BY run_id",
        ).to_pylist()
        database = sum(path.stat().st_size for path in (site / "prefect").glob("prefect.db*"))
        named = f"{count:,} clips"
        yield f"{named}: rows committed", f"{first['num_scored']:,}, in {seconds:.0f} s"
        yield f"{named}: listing and planning", f"{first['list_seconds']:.1f} s"
        yield f"{named}: Prefect's database after both runs", f"{database / 2**20:.1f} MiB"
        yield f"{named}: peak memory of the driver, of all", f"{driver} MiB, {tree} MiB"
        yield (
            f"{named}: the same again, nothing new",
            f"{second['num_skipped']:,} skipped in {second['wall_seconds']:.1f} s, the whole "
            f"process {again:.1f} s",
        )
        started = time.perf_counter()
        answer(site / "results", "SELECT avg(joy), count(*) FROM scores")
        yield f"{named}: a mean in SQL", f"{time.perf_counter() - started:.2f} s"
    ratios = [many / few for few, many in zip(peaks[FEWER], peaks[NUM_CLIPS], strict=True)]
    yield (
        "ten times the clips, memory of the driver, of all",
        " and ".join(f"{ratio:.2f}" for ratio in ratios),
    )


def _corpus(folder: Path, count: int) -> Path:
    """Links to a few short files: a file system allows so many names of one."""
    folder.mkdir(parents=True)
    for number in range(count):
        home = folder / f"{number // CLIPS_A_FOLDER:03d}"
        base = home / "00000.wav"
        if number % CLIPS_A_FOLDER == 0:
            home.mkdir()
            with wave.open(str(base), "wb") as file:
                file.setparams((1, 2, 16_000, 0, "NONE", ""))
                file.writeframes(np.full(800, number, "<i4").tobytes())
        else:
            os.link(base, home / f"{number:05d}.wav")
    return folder


def _run(
    corpus: Path, results: Path, model: Path, environment: dict[str, str]
) -> tuple[float, int, int]:
    """Return seconds, and the peak memory of the driver and of all its processes, in MiB."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "tests.benchmarks.scale", *map(str, (corpus, results, model))]
    environment = environment | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as running:
        peaks = [0, 0]
        watching = threading.Thread(target=_watch, args=(running, peaks))
        watching.start()
        code = running.wait()
        watching.join()
    if code:
        raise SystemExit(f"the run ended with exit code {code}")
    return time.perf_counter() - started, peaks[0] >> 20, peaks[1] >> 20


def _watch(running: subprocess.Popen[bytes], peaks: list[int]) -> None:
    driver = psutil.Process(running.pid)
    while running.poll() is None:
        own = memory_of(driver)
        try:
            below = sum(map(memory_of, driver.children(recursive=True)))
        except psutil.NoSuchProcess:
            return
        peaks[:] = max(peaks[0], own), max(peaks[1], own + below)
        time.sleep(LOOK_SECONDS)


def extract_stub(block: pa.Table, *, settings: ScoringSettings, ledger: Any) -> Iterator[pa.Table]:
    """Give every clip the same audio; its file is read and hashed."""
    clips = [ClipFile(**row) for row in block.to_pylist()]
    worker = this_worker(EXTRACT)
    ray.get(ledger.take.remote(worker, [clip.clip_id for clip in clips]))
    levels = measure_levels(WAVEFORM)
    for clip in clips:
        row = listed_row(clip) | {
            "status": Status.SCORED.value,
            "duration_seconds": len(WAVEFORM) / 16_000,
            "rms_dbfs": levels.rms_dbfs,
            "peak_dbfs": levels.peak_dbfs,
            "silent_fraction": levels.silent_fraction,
            "modalities": ["audio"],
            "inputs": [pack("audio", WAVEFORM)],
            COSTS[0].name: 0.0,
        }
        yield pa.Table.from_pylist([row], pa.schema([*EXTRACTED, COSTS[0]]))
    ray.get(ledger.give.remote(worker))


class StubPredictor(Predictor):
    """Scores without a model."""

    def __call__(self, waveforms: Sequence[Any]) -> list[Any]:
        """Return the same scores for each."""
        draw = np.random.default_rng(0).random
        frames = draw((NUM_FRAMES, 3), np.float32)
        emi = draw(len(self.model.config.targets), np.float32)
        same = Scores(emi, frames.mean(0), frames.mean(0), frames, frames[0], NUM_FRAMES)
        return [same for _ in waveforms]


def main() -> None:
    """Run the flow with the stubs in place."""
    import tasks.scoring.passes
    import tasks.scoring.score_clips
    import tasks.scoring.stages.score_stage
    from flows.process import process_corpus

    class StubScorer(tasks.scoring.stages.score_stage.ScorerActor):
        def __init__(self, settings: Any, budget: Any, ledger: Any) -> None:
            super().__init__(settings, budget, ledger)
            self.predictor = StubPredictor(self.predictor.model, precision="fp32")
            self.score.predictor = self.predictor

    tasks.scoring.passes.extract_block = extract_stub
    tasks.scoring.score_clips.ScorerActor = StubScorer
    corpus, results, model = sys.argv[1:]
    process_corpus(corpus, results, model)


if __name__ == "__main__":
    main()
