"""The recipe of the demo of all modalities: small networks from scratch that hear, read and see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from emi_model.architecture.config import OPTIONAL
from emi_model.audio.augment import Augmentation
from emi_model.modalities import AUDIO, TRANSCRIPT, VISION
from emi_model.training.config import TrainConfig
from emi_model.training.named.recipe import Recipe, small_backbone

SMALL_BRANCHES: Mapping[str, Mapping[str, Any]] = {
    AUDIO: {OPTIONAL: True},
    TRANSCRIPT: {
        OPTIONAL: True,
        "tokens": "words",
        "pooling": "mean",
        "dropout": 0.3,
        "encoder": {
            "model_type": "bert",
            "vocab_size": 4000,
            "hidden_size": 96,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 96,
            "max_position_embeddings": 128,
            "hidden_dropout_prob": 0.2,
        },
    },
    VISION: {
        OPTIONAL: True,
        "dropout": 0.2,
        "max_frames": 8,
        "processor": {"size": 48},
        "encoder": {"model_type": "small_conv", "channels": [16, 32, 48], "hidden_size": 64},
    },
}
"""Arguments of small branches to train from scratch on a few hundred clips."""


def demo_all() -> Recipe:
    """Return the recipe of ``emi demo --modalities all``: 168 short clips, a few minutes.

    Every modality may be absent, and is left out of three clips of ten in training, so that one
    model scores any subset. Faces are drawn and sentences made of templates: words are hashed, and
    no pre-trained encoder is needed.
    """
    train = TrainConfig(
        epochs=40,
        batch_size=16,
        learning_rate=2e-3,
        warmup_epochs=2.0,
        loss="mse+pearson",
        clip_norm=1.0,
        augmentation=Augmentation(
            speed=(0.92, 1.08), equaliser_decibels=4.0, noise_decibels=(20.0, 40.0)
        ),
        modality_dropout=0.3,
        ema_decay=0.97,
        keep="last",
        seed=1,
    )
    model = small_backbone(
        [64, 64, 64],
        conv_kernel=[256, 8, 3],
        conv_stride=[80, 4, 2],
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=128,
        num_conv_pos_embeddings=32,
        hidden_dropout=0.1,
        attention_dropout=0.1,
        activation_dropout=0.1,
        feat_proj_dropout=0.1,
        final_dropout=0.1,
    )
    branches = {name: dict(arguments) for name, arguments in SMALL_BRANCHES.items()}
    small = replace(model, vad_head=False, lstm_layers=1, branches=branches)
    return Recipe("demo_all", train, small, filterbank=True)
