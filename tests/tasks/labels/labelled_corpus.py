"""A corpus of noise in WAV files, with labels that say how much of it is noise."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from emi_model.units import SAMPLING_RATE
from tasks.labels.add_labels import add_labels

TARGETS = ("Noise", "Tone")


def write_labelled(
    folder: Path, splits: Sequence[str], *, speakers: int = 3, seconds: float = 0.4
) -> Path:
    """Write a clip a split name; returns the label file, which gives splits and speakers."""
    rng = np.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", "speaker", "split", *TARGETS])
        for number, split in enumerate(splits):
            share = float(rng.uniform())
            tone = np.sin(np.arange(int(seconds * SAMPLING_RATE)) * 0.1)
            noise = rng.standard_normal(len(tone))
            name = f"{number:03}.wav"
            waveform = 3000 * ((1 - share) * tone + share * noise)
            soundfile.write(folder / name, waveform.astype(np.int16), SAMPLING_RATE)
            writer.writerow([name, f"{split}{number % speakers}", split, share, 1 - share])
    return folder / "labels.csv"


def labelled_store(root: Path, splits: Sequence[str], *, seconds: float = 0.4) -> tuple[Path, Path]:
    """Write a corpus below ``root`` and add its labels to a store; returns corpus and store."""
    corpus, store = root / "corpus", root / "store"
    add_labels(store, write_labelled(corpus, splits, seconds=seconds), str(corpus))
    return corpus, store
