"""Tiny encoders of every kind that branches take, by name, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel

WORDS = ("so", "glad", "to", "see", "you", "this", "is", "sad", "and", "very", "odd")

_TEXT = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 80,
}
_SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_PICTURE = {
    "image_size": 16,
    "patch_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
_NORM = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
_PROCESSOR = {"size": {"height": 16, "width": 16}, **_NORM}


def _layer(kind: str, name: str, source: str, **settings: Any) -> dict[str, Any]:
    return {"class": kind, "name": name, "inputs": [source] if source else [], **settings}


_CONVOLUTION = {"kernel_size": [3, 3], "padding": "same", "use_bias": False}
_KERAS = [
    _layer("InputLayer", "in", ""),
    _layer("Conv2D", "c1", "in", filters=4, strides=[1, 1], **_CONVOLUTION),
    _layer("BatchNormalization", "n1", "c1", epsilon=1e-3),
    _layer("Activation", "a1", "n1", activation="relu"),
    _layer("SeparableConv2D", "c2", "a1", filters=4, strides=[1, 1], **_CONVOLUTION),
    _layer("MaxPooling2D", "p1", "c2", pool_size=[3, 3], strides=[2, 2], padding="same"),
    _layer("Conv2D", "c3", "a1", filters=4, strides=[2, 2], **_CONVOLUTION),
    _layer("Add", "s1", "p1") | {"inputs": ["p1", "c3"]},
    _layer("Conv2D", "c4", "s1", filters=7, strides=[1, 1], **_CONVOLUTION | {"use_bias": True}),
]

TEXT_BRANCHES: dict[str, dict[str, Any]] = {
    "bert": {"encoder": {"model_type": "bert", **_TEXT}},
    "bert_mean": {"encoder": {"model_type": "bert", **_TEXT}, "pooling": "mean"},
    "mpnet": {"encoder": {"model_type": "mpnet", **_TEXT, "pad_token_id": 1}, "pooling": "mean"},
    "roberta": {"encoder": {"model_type": "roberta", **_TEXT, "pad_token_id": 1}},
    "distilbert": {
        "encoder": {
            "model_type": "distilbert",
            "vocab_size": 40,
            "dim": 16,
            "n_layers": 2,
            "n_heads": 2,
            "hidden_dim": 24,
            "max_position_embeddings": 80,
        }
    },
    "modernbert": {
        "encoder": {
            "model_type": "modernbert",
            **_TEXT,
            **_SPECIAL,
            "local_attention": 6,
            "cls_token_id": 1,
            "sep_token_id": 2,
            "global_attn_every_n_layers": 2,
        },
        "pooling": "mean",
    },
    "gte": {
        "encoder": {"model_type": "new", **_TEXT, "rope_scaling": {"type": "ntk", "factor": 2}}
    },
    "hashed_words": {"encoder": {"model_type": "bert", **_TEXT}, "tokens": "words"},
}
"""Arguments of text branches."""

VISION_BRANCHES: dict[str, dict[str, Any]] = {
    "vit": {"encoder": {"model_type": "vit", **_PICTURE}, "processor": _PROCESSOR},
    "dinov2_cls": {
        "encoder": {"model_type": "dinov2", **_PICTURE, "mlp_ratio": 2},
        "processor": {
            "size": {"shortest_edge": 20},
            "crop_size": {"height": 16, "width": 16},
            "do_center_crop": True,
            "resample": 3,
            **_NORM,
        },
        "pooling": "cls",
    },
    "clip": {
        "encoder": {"model_type": "clip_vision_model", **_PICTURE},
        "processor": _PROCESSOR,
    },
    "system_of_2024": {
        "encoder": {"model_type": "vit", **_PICTURE, "num_labels": 7},
        "processor": _PROCESSOR,
        "pooling": "classifier",
        "max_frames": 4,
    },
    "keras": {
        "encoder": {"model_type": "keras_network", "layers": _KERAS},
        "processor": {"size": 16, "grey": True},
    },
    "small_conv": {
        "encoder": {"model_type": "small_conv", "channels": [4, 8], "hidden_size": 12},
        "processor": {"size": 16},
    },
}
"""Arguments of vision branches."""


def tiny_text_encoder(folder: Path) -> Path:
    """Write a tiny BERT with tokenizer and licence in the layout of the hub; return its folder."""
    torch.manual_seed(3)
    BertModel(BertConfig(**_TEXT), add_pooling_layer=False).save_pretrained(folder)
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    return folder


def tiny_tokenizer() -> Tokenizer:
    """Return a tokenizer of `WORDS`, with a first and a last token."""
    vocabulary = {name: place for place, name in enumerate(("[PAD]", "[CLS]", "[SEP]", "[UNK]"))}
    vocabulary |= {word: 4 + place for place, word in enumerate(WORDS)}
    tokenizer: Any = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = Lowercase(), Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    found: Tokenizer = tokenizer
    return found
