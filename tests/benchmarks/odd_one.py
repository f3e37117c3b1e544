"""A run whose clips sort badly: one of 20 minutes among 1,000 short ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tasks.store.query import answer
from tasks.synthetic.noise import write_noise
from tests.benchmarks.work import make_corpus, process, watch

Row = tuple[str, str]

NUM_CLIPS = 1_000
LONG_SECONDS = 1_200.0


def odd_one(folder: Path, model: Path) -> Iterator[Row]:
    """Throughput and memory with and without the long clip, which comes last, in both coverages."""
    short = make_corpus(folder / "short", NUM_CLIPS)
    mixed = make_corpus(folder / "mixed", NUM_CLIPS)
    write_noise(mixed / "zzz", [LONG_SECONDS])
    for coverage in ("first", "full"):
        rates, peaks = {}, {}
        for name, corpus in (("without", short), ("with", mixed)):
            results = folder / f"{coverage}-{name}"
            watched = watch(process(corpus, results, model, "--coverage", coverage))
            (run,) = answer(results, "SELECT * FROM runs").to_pylist()
            rates[name], peaks[name] = run["audio_hours_per_hour"], watched.peak_mib
            yield (
                f"{NUM_CLIPS:,} clips, coverage {coverage}, {name} one of 20 minutes",
                f"{run['num_scored']} scored, {run['audio_seconds']:.0f} s of audio in "
                f"{run['wall_seconds']:.1f} s: {rates[name]:.1f} audio-hours per hour; "
                f"padding {run['padding_share']:.3f}; peak memory {watched.peak_mib} MiB",
            )
        yield f"coverage {coverage}: throughput, with over without", _ratio(rates)
        yield f"coverage {coverage}: memory, with over without", _ratio(peaks)


def _ratio(found: dict[str, float]) -> str:
    return f"{found['with'] / found['without']:.3f}"
