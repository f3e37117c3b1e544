"""``make bench``: figures of the whole job, a Markdown row each, to be copied to RESULTS.md.

Without a name it runs what is short, and every ratio that is to be reached on a machine without a
GPU; long studies run where they are named.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from emi_model.checkpoints.load import load_model
from emi_model.predict import Predictor
from tasks.corpus.listing import list_clips
from tasks.extraction.ffmpeg import find_ffmpeg
from tasks.extraction.headers import Prober
from tasks.extraction.inputs import unpack
from tasks.extraction.rows import extract_clip
from tasks.store.query import answer
from tests.benchmarks.compare import compare, compare_features, compare_voice
from tests.benchmarks.explaining import explaining
from tests.benchmarks.explaining_films import explaining_films
from tests.benchmarks.extraction import extraction
from tests.benchmarks.faces import faces
from tests.benchmarks.forgetting import forgetting
from tests.benchmarks.learning import coverage, emodb, emodb_whisper, retraining
from tests.benchmarks.odd_one import odd_one
from tests.benchmarks.products import products
from tests.benchmarks.ratios import ratios
from tests.benchmarks.reading import reading
from tests.benchmarks.reporting import report
from tests.benchmarks.scale import scale
from tests.benchmarks.speed import speed
from tests.benchmarks.store_kills import store_kills
from tests.benchmarks.store_scale import store
from tests.benchmarks.three import three
from tests.benchmarks.whole import drift, whole
from tests.benchmarks.work import (
    EMI,
    TRIES,
    make_corpus,
    make_model,
    process,
    usual_seconds,
    watch,
)

Row = tuple[str, str]

ON_RAY = ("--few-clips", "0")
"""Options of runs that are on Ray whatever their number of clips."""

KILL_SECONDS = (6, 16, 24, 32, 28)
"""After the start of each run: while it starts, extracts, scores and commits."""


def startup(folder: Path, model: Path) -> Iterator[Row]:
    """Seconds until the command answers."""
    clip = next(make_corpus(folder / "one", 1).glob("*/*.mp4"))
    for name, command in {
        "`emi --help`": [str(EMI), "--help"],
        "`emi score` of one clip": [str(EMI), "score", str(clip), "--model", str(model)],
    }.items():
        yield name, f"{usual_seconds(command):.2f} s (median of {TRIES})"


def whole_job(folder: Path, model: Path) -> Iterator[Row]:
    """The whole job against the plain way: one ffmpeg and one forward pass a clip, one process."""
    corpus = make_corpus(folder / "corpus", 480)
    clips = list_clips(str(corpus))
    predictor = Predictor(load_model(str(model)).model, precision="fp32")
    started = time.perf_counter()
    with Prober() as prober:
        for clip in clips:
            row = extract_clip(clip, max_seconds=12.0, timeout_seconds=60.0, prober=prober)
            predictor([unpack(row)["audio"]])
    plain = time.perf_counter() - started
    command = process(corpus, folder / "results", model)
    ours = watch(command)
    run = answer(folder / "results", "SELECT * FROM runs").to_pylist()[0]
    yield "480 clips, plain way", f"{plain:.1f} s, {plain / len(clips) * 1e3:.0f} ms a clip"
    yield "480 clips, `emi process`", f"{ours.seconds:.1f} s, start and end included"
    yield "whole job over plain way", f"{plain / ours.seconds:.2f} times as fast"
    yield "padding share", f"{run['padding_share']:.3f}"
    yield "the same again, nothing new", f"{watch(command).seconds:.1f} s"


def memory(folder: Path, model: Path) -> Iterator[Row]:
    """Peak memory of a run over 200 clips, and over more."""
    peaks = {}
    for count in (200, 2000, 6000):
        corpus = make_corpus(folder / f"corpus{count}", count)
        watched = watch(process(corpus, folder / f"results{count}", model, *ON_RAY))
        peaks[count] = watched.peak_mib
        yield f"peak memory, {count} clips", f"{watched.peak_mib} MiB, {watched.seconds:.0f} s"
    yield "2,000 clips over 200", f"{peaks[2000] / peaks[200]:.3f}"
    yield "6,000 clips over 2,000", f"{peaks[6000] / peaks[2000]:.3f}"


def kills(folder: Path, model: Path) -> Iterator[Row]:
    """kill -9 at five moments of a run over 200 clips, then a rerun: the same table?"""
    corpus = make_corpus(folder / "corpus", 200)
    undisturbed, disturbed = folder / "undisturbed", folder / "disturbed"
    watch(process(corpus, undisturbed, model, *ON_RAY))
    for moment in KILL_SECONDS:
        # a slow ffmpeg: on these machines a run is over before the later moments
        running = subprocess.Popen(
            process(corpus, disturbed, model, *ON_RAY),
            env={**os.environ, "EMI_FFMPEG": str(_slow_ffmpeg(folder))},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(moment)
        running.kill()
        running.wait()
        committed = answer(disturbed, "SELECT count(*) AS n FROM scores").to_pylist()[0]["n"]
        yield f"killed after {moment} s", f"{committed} of 200 rows committed"
    watch(process(corpus, disturbed, model, *ON_RAY))
    tables = [_rows(store) for store in (undisturbed, disturbed)]
    same = all(_same(one, two) for one, two in zip(*tables, strict=True))
    yield "table after the rerun", f"{len(tables[1])} rows, {'the same' if same else 'DIFFERENT'}"


def _slow_ffmpeg(folder: Path) -> Path:
    path = folder / "ffmpeg"
    path.write_text(
        f'#!/bin/sh\nfor a; do [ "$a" = -i ] && sleep 0.2; done\nexec "{find_ffmpeg()}" "$@"\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


def _rows(results: Path) -> list[dict[str, object]]:
    sql = "SELECT * EXCLUDE (run_id, scored_at) FROM scores ORDER BY clip_id"
    return answer(results, sql).to_pylist()


def _same(one: dict[str, object], two: dict[str, object]) -> bool:
    return all(
        abs(value - two[name]) <= 1e-5 if isinstance(value, float) else value == two[name]
        for name, value in one.items()
    )


@dataclass(frozen=True)
class Benchmark:
    """One benchmark, and about how many minutes it takes on two free cores, if that is known."""

    run: Callable[[Path, Path], Iterator[tuple[str, ...]]]
    minutes: float | None

    def line(self) -> str:
        """Return its name, what it measures, how long it takes."""
        takes = "not timed" if self.minutes is None else f"{self.minutes:g} min"
        said, _, _ = (self.run.__doc__ or "").partition("\n")
        return f"  {self.run.__name__:<17} {takes:>9}  {said}"


SHORT = (
    Benchmark(ratios, 31),
    Benchmark(startup, 0.5),
    Benchmark(extraction, 1),
    Benchmark(whole_job, 1),
    Benchmark(kills, 4),
    Benchmark(forgetting, 1),
    Benchmark(store_kills, 1),
    Benchmark(products, 1),
    Benchmark(report, 1),
)
"""What `make bench` runs."""

BY_NAME = (
    Benchmark(faces, None),
    Benchmark(speed, 4),
    Benchmark(whole, 8),
    Benchmark(odd_one, None),
    Benchmark(drift, 4),
    Benchmark(memory, 6),
    Benchmark(scale, 8),
    Benchmark(emodb, 6.5),
    Benchmark(emodb_whisper, 14),
    Benchmark(retraining, None),
    Benchmark(coverage, None),
    Benchmark(reading, 15),
    Benchmark(three, 50),
    Benchmark(compare, 28),
    Benchmark(compare_voice, 11),
    Benchmark(compare_features, 10),
    Benchmark(explaining, 4),
    Benchmark(explaining_films, None),
    Benchmark(store, None),
)
"""What runs where it is named: hours in all, or, as `reading`, a part of what is above."""

BENCHMARKS = {each.run.__name__: each for each in (*SHORT, *BY_NAME)}


def main() -> None:
    """Run the named benchmarks, or the short ones."""
    lines = ["without a name:", *(each.line() for each in SHORT)]
    lines += ["by name alone:", *(each.line() for each in BY_NAME)]
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        epilog="\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*BENCHMARKS, []])
    chosen = parser.parse_args().names or [each.run.__name__ for each in SHORT]
    sys.stdout.write(f"{os.cpu_count()} cores\n| figure | measured | to reach |\n|---|---|---|\n")
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="emi-bench-") as folder:
            for row in BENCHMARKS[name].run(Path(folder), make_model(Path(folder) / "m")):
                figure, measured, reach = (*row, "")[:3]
                sys.stdout.write(f"| {figure} | {measured} | {reach} |\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
