"""Tiny backbones of every family, saved as transformers does."""

from __future__ import annotations

from typing import Any

CONVOLUTIONS: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 32,
}
LAYER_NORM = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}

ARGUMENTS: dict[str, dict[str, Any]] = {
    "wav2vec2": {"model_type": "wav2vec2", **CONVOLUTIONS, **LAYER_NORM},
    "hubert": {"model_type": "hubert", **CONVOLUTIONS, **LAYER_NORM},
    "hubert, group norm": {"model_type": "hubert", **CONVOLUTIONS},
    "wavlm": {"model_type": "wavlm", **CONVOLUTIONS, **LAYER_NORM},
    "wavlm, group norm": {"model_type": "wavlm", **CONVOLUTIONS, "do_normalize": False},
    "data2vec-audio": {
        "model_type": "data2vec-audio",
        **CONVOLUTIONS,
        "num_conv_pos_embeddings": 3,
        "conv_pos_kernel_size": 5,
    },
    "wav2vec2-bert": {
        "model_type": "wav2vec2-bert",
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "vocab_size": 32,
    },
    "whisper": {
        "model_type": "whisper",
        "d_model": 32,
        "encoder_layers": 2,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 48,
        "num_mel_bins": 80,
        "max_source_positions": 1500,
    },
    "whisper, silence": {
        "model_type": "whisper",
        "d_model": 32,
        "encoder_layers": 2,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 48,
        "num_mel_bins": 128,
        "max_source_positions": 70,
        "silence_seconds": 0.5,
    },
}
"""Arguments of `emi_model.architecture.backbones.registry.build_backbone`, by a name for tests."""
