"""Instruction pairs from labels and measurements, as in Emotion-LLaMA (arXiv 2406.11161).

``[INST] <feature>`` one vector a modality ``</feature>`` what is said, the question ``[/INST]``,
then the answer: coarse, the emotion; fine, the emotion with the cue that shows it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from emi_model.arrays import Floats

BEFORE = "[INST] <feature>"
_QUESTIONS = {False: "[emotion] which emotion is it ?", True: "[reason] which emotion , and why ?"}

NOTABLE = 0.5
"""Standard deviations from the mean at which a measurement is high or low."""


@dataclass(frozen=True)
class Instruction:
    """A question about one clip, and its answer.

    Attributes:
        vectors: float32 (D,) by modality; those that the clip lacks are left out.
        after: the text between the vectors and the answer.
        answer: the text to be written; empty where it is asked for.
        labels: the emotions in the answer.
        clues: the cues in it: measures with their direction, as ``pitch high``.
    """

    vectors: Mapping[str, Floats]
    after: str
    answer: str
    labels: frozenset[str]
    clues: frozenset[str]


def coarse(vectors: Mapping[str, Floats], emotion: str, said: str = "") -> Instruction:
    """Return the pair whose answer is the emotion alone."""
    return Instruction(
        vectors, _after(said, fine=False), f"{emotion} .", frozenset({emotion}), frozenset()
    )


def fine(
    vectors: Mapping[str, Floats], emotion: str, clues: Collection[str], said: str = ""
) -> Instruction:
    """Return the pair whose answer is the emotion with its cues, in alphabetical order."""
    why = " , ".join(sorted(clues))
    return Instruction(
        vectors,
        _after(said, fine=True),
        f"{emotion} : {why} ." if why else f"{emotion} .",
        frozenset({emotion}),
        frozenset(clues),
    )


def clues_of(
    measured: Mapping[str, float], mean: Mapping[str, float], sd: Mapping[str, float]
) -> list[str]:
    """Return the cues among a clip's measurements: those at least half a deviation off the mean.

    Args:
        measured: value by measure, as ``pitch``: a word.
        mean: over the training clips, by measure.
        sd: their standard deviation.
    """
    found = []
    for measure, value in measured.items():
        distance = (value - mean[measure]) / sd[measure] if sd[measure] > 0 else 0.0
        if abs(distance) >= NOTABLE and np.isfinite(distance):
            found.append(f"{measure} {'high' if distance > 0 else 'low'}")
    return found


def named_in(
    text: str, emotions: Collection[str], clues: Collection[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the emotions and the cues that an answer names, as whole words."""
    words = f" {' '.join(re.findall(r'[a-z]+', text.lower()))} "

    def among(names: Collection[str]) -> frozenset[str]:
        return frozenset(name for name in names if f" {name.lower()} " in words)

    return among(emotions), among(clues)


def _after(said: str, *, fine: bool) -> str:
    spoken = f"the person says : {said} . " if said else ""
    return f"</feature> {spoken}{_QUESTIONS[fine]} [/INST]"
