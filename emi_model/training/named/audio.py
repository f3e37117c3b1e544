"""Recipes of models that hear."""

from __future__ import annotations

from dataclasses import replace

from emi_model.architecture.config import EmiConfig
from emi_model.audio.augment import Augmentation
from emi_model.training.config import TrainConfig
from emi_model.training.named.recipe import Recipe, published_training, small_backbone

PUBLIC_VAD_MODEL = "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim"
"""The paper's backbone with its VAD head (Wagner et al., arXiv 2203.07378), CC BY-NC-SA 4.0."""


def paper() -> Recipe:
    """Return the recipe of Hallmen et al. (arXiv 2403.11879), as in the authors' code.

    MSE; AdamW at 1e-4, weight decay 0.01; linear warm-up over one epoch, then a cosine, stepped
    per batch; 30 epochs in batches of 32, shuffled and nothing else; float16 autocast; gradients
    clipped by value at 100; seed 1; the best epoch by mean validation Pearson. Dropout, layer drop
    and SpecAugment are those of the backbone's own config.
    """
    return Recipe("paper", published_training(seed=1), EmiConfig(), PUBLIC_VAD_MODEL)


def debug() -> Recipe:
    """Return a recipe that shows in seconds whether training works: tiny, nothing random in it.

    Without dropout, layer drop and masks, any number of workers gives the same losses; golden
    losses stand in ``tests/emi_model/training/test_golden_losses.py``.
    """
    train = TrainConfig(
        epochs=3,
        batch_size=8,
        learning_rate=3e-3,
        warmup_epochs=1.0,
        loss="mse+pearson",
        vad_loss_weight=1.0,
        clip_norm=1.0,
        bucket_batches=2,
        augmentation=Augmentation(speed=(0.95, 1.05), noise_decibels=(30.0, 40.0)),
        ema_decay=0.5,
        keep="best",
        seed=1,
    )
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = small_backbone([8] * 7, **sizes, intermediate_size=32, num_conv_pos_embeddings=16)
    return Recipe("debug", train, model)


def demo() -> Recipe:
    """Return the recipe of the demo: 80 short clips from scratch, a minute on one core.

    The last weights are kept, so the held-out clips choose nothing. In so few steps a rate of
    1e-3 is too low (0.81 after 16 epochs, against 0.93), and one of 5e-3 gains nothing.
    """
    train = TrainConfig(
        epochs=24,
        batch_size=16,
        learning_rate=3e-3,
        weight_decay=0.01,
        warmup_epochs=3.0,
        loss="mse+pearson",
        vad_loss_weight=1.0,
        clip_norm=1.0,
        crop_seconds=2.5,
        augmentation=Augmentation(speed=(0.92, 1.08), noise_decibels=(20.0, 40.0)),
        ema_decay=0.9,
        keep="last",
        seed=1,
    )
    model = small_backbone(
        [32, 32, 32, 48, 48, 64, 64],
        hidden_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=192,
        num_conv_pos_embeddings=32,
        final_dropout=0.1,
    )
    return Recipe("demo", train, model)


def paper_small() -> Recipe:
    """Return the paper's architecture with a small backbone, for a few hundred clips from scratch.

    Three convolutions hop as far as the paper's seven (20 ms) at less than half their cost; the
    first starts as a filterbank; the LSTM has one layer. Dropout, masks, mixed and changed
    waveforms keep 0.8 M weights from memorising the clips.
    """
    train = TrainConfig(
        epochs=50,
        batch_size=32,
        learning_rate=2e-3,
        weight_decay=0.01,
        warmup_epochs=3.0,
        loss="mse+pearson",
        clip_norm=1.0,
        bucket_batches=4,
        augmentation=Augmentation(
            speed=(0.85, 1.18), equaliser_decibels=8.0, noise_decibels=(15.0, 40.0)
        ),
        mixup=0.5,
        ema_decay=0.99,
        keep="last",
        seed=1,
    )
    model = small_backbone(
        [160, 96, 96],
        conv_kernel=[256, 8, 3],
        conv_stride=[40, 4, 2],
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        num_conv_pos_embeddings=32,
        hidden_dropout=0.3,
        attention_dropout=0.2,
        activation_dropout=0.3,
        feat_proj_dropout=0.3,
        final_dropout=0.3,
        apply_spec_augment=True,
        mask_time_prob=0.1,
        mask_time_length=5,
        mask_feature_prob=0.05,
        mask_feature_length=8,
    )
    return Recipe("paper_small", train, replace(model, lstm_layers=1), filterbank=True)
