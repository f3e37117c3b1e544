"""Recipes of models that read, and of those that hear, read and see.

Their encoders are references (a folder or a hub id), which a training loads before it begins;
others can be named in their place. No clip has to have words or faces: a learnt token stands in.
"""

from __future__ import annotations

from typing import Any

from emi_model.architecture.config import KIND, OPTIONAL, SERIES, EmiConfig
from emi_model.modalities import AUDIO, FEATURES, TRANSCRIPT, VISION
from emi_model.training.config import TrainConfig
from emi_model.training.named.audio import PUBLIC_VAD_MODEL
from emi_model.training.named.recipe import Recipe, published_training

GTE_MLM = "Alibaba-NLP/gte-en-mlm-base"
"""The text encoder of Semantic Matters and of TAEMI, Apache-2.0."""

GTE_ENGLISH = "Alibaba-NLP/gte-base-en-v1.5"
"""The text encoder of the best published score on the validation set, Apache-2.0."""

AUTHORS_SEED = 3407
"""That of the authors' code of 2025, and of TAEMI's."""

VIT_HUGE = "google/vit-huge-patch14-224-in21k"
"""The frozen picture encoder of Semantic Matters."""


def semantic_matters() -> Recipe:
    """Return the recipe of Hallmen et al. 2025 (arXiv 2504.11460), as in the authors' code.

    MSE; AdamW at 1e-4, weight decay 0.01 on everything; warm-up over one epoch, then a cosine,
    stepped per batch; 30 epochs in batches of 32; float16; gradients clipped by value at 100; seed
    3407; one learning rate, nothing frozen but the picture encoder; the best epoch by mean
    validation Pearson. What differs: padding is masked, whole transcripts are read, faces come at 5
    frames a second, and where words or faces are missing a learnt token stands, not the encoding of
    an empty text and not a stop.
    """
    model = EmiConfig(
        branches={AUDIO: {}, VISION: _faces(), TRANSCRIPT: _words(GTE_MLM)},
        fusion={"name": "concat", "lstm_sizes": {VISION: 768}},
    )
    return Recipe(
        "semantic_matters", published_training(seed=AUTHORS_SEED), model, PUBLIC_VAD_MODEL
    )


def text() -> Recipe:
    """Return a recipe for the words alone, after the best published score on the validation set.

    It is that of DanielTsarof/ABAW-8-EMI-challenge: gte fine-tuned, the first token's state,
    dropout 0.2; MSE on raw labels; AdamW at 1e-4 without weight decay, a cosine without warm-up, 30
    epochs in batches of 32, gradient norm 1, seed 42. Its head is that of the paper here.
    """
    train = TrainConfig(
        epochs=30,
        batch_size=32,
        learning_rate=1e-4,
        weight_decay=0.0,
        warmup_epochs=0.0,
        loss="mse",
        clip_norm=1.0,
        keep="best",
        mixed_precision=True,
        seed=42,
    )
    words = {"encoder": GTE_ENGLISH, "dropout": 0.2}
    return Recipe("text", train, EmiConfig(vad_head=False, branches={TRANSCRIPT: words}))


def audio_text() -> Recipe:
    """Return a recipe for voice and words, either of which a clip may lack.

    The settings are those of `semantic_matters`, its fusion too; of ten optional inputs one is left
    out in training, so that the model learns to do without.
    """
    fusion = {"name": "concat"}
    return _several("audio_text", {TRANSCRIPT: _words(GTE_ENGLISH)}, fusion, epochs=30)


def all_modalities() -> Recipe:
    """Return a recipe for voice, words and faces, any of which a clip may lack.

    TAEMI (arXiv 2603.14976), as in their code: the text asks, frames answer; of ten inputs
    one is left out in training; otherwise as `semantic_matters`, but 50 epochs.
    """
    others = {TRANSCRIPT: _words(GTE_MLM), VISION: _faces()}
    return _several("all", others, {"name": "text_anchored"}, epochs=50)


def features() -> Recipe:
    """Return a recipe for features that other programs computed, without any media.

    `emi train --features NAME=PATH` puts its branches in the place of the one here. The settings
    are usual ones for small heads over frozen features, from no paper: MSE, AdamW at 1e-3, weight
    decay 0.01, 30 epochs in batches of 32, gradient norm 1; of ten inputs one is left out.
    """
    train = TrainConfig(
        epochs=30,
        batch_size=32,
        learning_rate=1e-3,
        clip_norm=1.0,
        modality_dropout=0.1,
        keep="best",
    )
    given = {KIND: SERIES, "num_values": 1, OPTIONAL: True}
    model = EmiConfig(
        vad_head=False,
        lstm_layers=1,
        branches={FEATURES: given},
        fusion={"name": "concat", "hidden_size": 64},
    )
    return Recipe(FEATURES, train, model)


def _several(
    name: str, others: dict[str, dict[str, Any]], fusion: dict[str, Any], *, epochs: int
) -> Recipe:
    train = published_training(seed=AUTHORS_SEED, epochs=epochs, modality_dropout=0.1)
    model = EmiConfig(branches={AUDIO: {OPTIONAL: True}, **others}, fusion=fusion)
    return Recipe(name, train, model, PUBLIC_VAD_MODEL)


def _words(encoder: str) -> dict[str, Any]:
    return {"encoder": encoder, OPTIONAL: True}


def _faces() -> dict[str, Any]:
    return {"encoder": VIT_HUGE, "trained": False, OPTIONAL: True}
