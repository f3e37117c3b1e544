"""Parts of the evaluated clips that may be harder: short, without speech or face, by language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emi_model.arrays import Doubles
from emi_model.metrics.bootstrap import Evaluation, evaluate_with_intervals
from emi_model.modalities import AUDIO, TRANSCRIPT, VISION
from emi_model.units import seconds_to_samples
from tasks.labels.labelled_clips import CachedClip

SHORT_SECONDS = 1.0
UNDER_ONE_SECOND = "under 1 s"
LANGUAGE = "language "
"""A subset of one language is named by this and the language's code."""

WITHOUT = {AUDIO: "no sound", TRANSCRIPT: "no speech", VISION: "no face"}
"""Names of the subsets that lack a modality; of others ``no MODALITY``."""


@dataclass(frozen=True)
class Subset:
    """The figures on some of the evaluated clips.

    Attributes:
        name: which clips they are.
        evaluation: on them alone.
    """

    name: str
    evaluation: Evaluation


def evaluate_subsets(
    clips: Sequence[CachedClip], predicted: Doubles, truth: Doubles, targets: Sequence[str]
) -> tuple[Subset, ...]:
    """Return the figures on each subset that holds some of the clips and not all.

    Args:
        clips: N of them.
        predicted: (N, T).
        truth: labels (N, T).
        targets: T names.
    """
    return tuple(
        Subset(
            name,
            evaluate_with_intervals(
                predicted[places],
                truth[places],
                targets,
                groups=[clips[place].speaker for place in places],
            ),
        )
        for name, places in subsets_of(clips).items()
    )


def subsets_of(clips: Sequence[CachedClip]) -> dict[str, list[int]]:
    """Return the places of the clips of each subset; one of all clips, or of none, is left out."""
    found: dict[str, list[int]] = {}
    for place, clip in enumerate(clips):
        for name in _names(clip):
            found.setdefault(name, []).append(place)
    return {name: found[name] for name in sorted(found) if len(found[name]) < len(clips)}


def _names(clip: CachedClip) -> list[str]:
    absent = clip.absent
    names = [WITHOUT.get(modality, f"no {modality}") for modality in absent]
    if AUDIO in clip.needs and AUDIO not in absent:
        is_short = clip.num_samples < seconds_to_samples(SHORT_SECONDS)
        names += [UNDER_ONE_SECOND] if is_short else []
    if TRANSCRIPT in clip.needs:
        language = clip.facts(TRANSCRIPT).get("language")
        names += [f"{LANGUAGE}{language}"] if language else []
    return names
