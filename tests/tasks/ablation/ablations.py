"""Ablations of the debug recipe on a few short clips, and outcomes nobody trained for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2Model

from emi_model.metrics.agreement import TargetMetrics
from emi_model.training.recipes import Recipe, recipe_named
from tasks.ablation.grid import Ablation, find_origins, plan_ablation
from tasks.comparison.cell import CellOutcome
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import LabelledAudio, load_labelled_audio
from tests.tasks.labels.labelled_corpus import TARGETS, labelled_store
from tests.tiny import BACKBONE

DEBUG = recipe_named("debug")


def gathered_at(root: Path, splits: Sequence[str]) -> LabelledAudio:
    """Write a clip a split name below ``root`` and gather them, with a cache of their own."""
    corpus, store = labelled_store(root, splits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMI_HOME", str(root / "home"))
        return load_labelled_audio(load_labels(store), str(corpus), ("train", "valid"))


def planned(
    gathered: LabelledAudio, recipe: Recipe = DEBUG, *, num_seeds: int = 1, **references: Any
) -> Ablation:
    """Return an ablation; ``start`` and ``backbones`` are references."""
    return plan_ablation(gathered, recipe, find_origins(recipe, **references), num_seeds=num_seeds)


def save_wav2vec2(folder: Path, *, seed: int = 0, masks: bool = True) -> Path:
    """Save a random wav2vec2 model as transformers does: a backbone, and no VAD head.

    Without ``masks`` it lacks the embedding of masked frames that its config speaks of.
    """
    torch.manual_seed(seed)
    model = Wav2Vec2Model(Wav2Vec2Config(**BACKBONE))
    state = {name: w for name, w in model.state_dict().items() if masks or "masked" not in name}
    model.save_pretrained(folder, state_dict=state)
    return folder


def outcome(
    pearsons: Mapping[str, float | None] | None = None, *, num_parameters: int = 7
) -> CellOutcome:
    """Return an outcome with these correlations, and 0.5 where none is named."""
    found = dict.fromkeys(TARGETS, 0.5) | dict(pearsons or {})
    figures = {name: TargetMetrics(value, value, 0.04, 0.1, 0.2) for name, value in found.items()}
    return CellOutcome(figures, epoch=2, num_parameters=num_parameters, seconds=1.5)
