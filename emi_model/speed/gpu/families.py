"""Other audio backbones, small ones of each family: the card's scores against the CPU's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from emi_model.architecture.config import WAV2VEC2_LARGE_ROBUST_12
from emi_model.predict import Predictor
from emi_model.speed.gpu.rows import CheckRow, figure
from emi_model.speed.gpu.scores import columns, exact_scores
from emi_model.speed.gpu.several import model_of
from emi_model.speed.gpu.stage import Stage, clips_of_all_lengths, scores_of

LONGEST_OF_A_FAMILY = 4.0

_SHAPES: dict[str, Any] = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 256,
}
_CONVOLUTIONS: dict[str, Any] = {**_SHAPES, "conv_dim": [64] * 7, "num_conv_pos_embeddings": 32}
_LAYER_NORM = {
    name: WAV2VEC2_LARGE_ROBUST_12[name]
    for name in ("feat_extract_norm", "do_stable_layer_norm", "conv_bias")
}

SMALL_BACKBONES: Mapping[str, Mapping[str, Any]] = {
    "Whisper": {
        "model_type": "whisper",
        "d_model": 128,
        "encoder_layers": 2,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 256,
        "silence_seconds": 0.5,
    },
    "HuBERT": {"model_type": "hubert", **_CONVOLUTIONS, **_LAYER_NORM},
    "wav2vec2, norm over time": {"model_type": "wav2vec2", **_CONVOLUTIONS},
    "HuBERT, norm over time": {"model_type": "hubert", **_CONVOLUTIONS},
    "WavLM": {"model_type": "wavlm", **_CONVOLUTIONS, **_LAYER_NORM},
    "data2vec": {
        "model_type": "data2vec-audio",
        **_CONVOLUTIONS,
        "num_conv_pos_embeddings": 3,
        "conv_pos_kernel_size": 5,
    },
    "w2v-BERT": {"model_type": "wav2vec2-bert", **_SHAPES},
}
"""Arguments of small backbones by the name of their family."""


def families(stage: Stage) -> Iterator[CheckRow]:
    """Compare scores in float32 with the CPU's, alone with in a batch, and in bfloat16."""
    config = stage.model().config
    of_all_lengths = clips_of_all_lengths(stage.sizes.family_clips, LONGEST_OF_A_FAMILY)
    for name, backbone in islice(SMALL_BACKBONES.items(), stage.sizes.num_families):
        model = model_of(replace(config, backbone=backbone))
        clips = [clip for clip in of_all_lengths if len(clip) >= model.min_samples]
        card = f"{name}: fp32 on the card against the CPU, {len(clips)} clips, largest difference"
        alone = f"{name}: alone against in a batch, largest difference"
        found = yield from exact_scores(stage, model, clips, from_cpu=card, from_alone=alone)
        lower = scores_of(Predictor(model, precision="bf16", device=str(stage.device)), clips)
        apart = abs(columns(lower) - columns(found)).max()
        yield figure(f"{name}: bf16 against fp32, largest drift of a score", f"{apart:.2g}")
