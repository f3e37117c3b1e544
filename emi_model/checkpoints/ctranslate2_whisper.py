"""The encoder of a CTranslate2 Whisper folder, as faster-whisper uses it, under our names.

``model.bin`` is, little-endian: uint32 format version, text specification, uint32 its revision,
uint32 the number of variables; each variable is its name, uint8 the number of its dimensions,
uint32 each of them, uint8 a type, uint32 its bytes, the bytes. A text is uint16 its length with the
zero byte at its end, and the bytes. Linear layers have (out, in) weights as in PyTorch; queries,
keys and values are one layer.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from emi_model.errors import CheckpointError

MODEL_FILE = "model.bin"

_VERSIONS = (4, 5, 6)
_SPECIFICATION = "WhisperSpec"
_TYPES = {
    0: torch.float32,
    1: torch.int8,
    2: torch.int16,
    3: torch.int32,
    4: torch.float16,
    5: torch.bfloat16,
}
_ENCODER = "encoder/"

_ARGUMENTS: Mapping[str, Any] = {
    "model_type": "whisper",
    "activation_function": "gelu",
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "encoder_layerdrop": 0.0,
    "apply_spec_augment": False,
}
"""What every published Whisper model has; CTranslate2 has no other activation for it."""

_NAMES = {
    "conv1/weight": "conv1.weight",
    "conv1/bias": "conv1.bias",
    "conv2/weight": "conv2.weight",
    "conv2/bias": "conv2.bias",
    "position_encodings/encodings": "embed_positions.weight",
    "layer_norm/gamma": "layer_norm.weight",
    "layer_norm/beta": "layer_norm.bias",
}
_LAYER_NAMES = {
    "self_attention/layer_norm/gamma": "self_attn_layer_norm.weight",
    "self_attention/layer_norm/beta": "self_attn_layer_norm.bias",
    "self_attention/linear_1/weight": "self_attn.out_proj.weight",
    "self_attention/linear_1/bias": "self_attn.out_proj.bias",
    "ffn/layer_norm/gamma": "final_layer_norm.weight",
    "ffn/layer_norm/beta": "final_layer_norm.bias",
    "ffn/linear_0/weight": "fc1.weight",
    "ffn/linear_0/bias": "fc1.bias",
    "ffn/linear_1/weight": "fc2.weight",
    "ffn/linear_1/bias": "fc2.bias",
}
_PACKED = "self_attention/linear_0"


def is_ctranslate2(folder: Path) -> bool:
    """Return whether a model folder is in CTranslate2's layout."""
    return (folder / MODEL_FILE).is_file()


def read_whisper_encoder(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return a Whisper folder's encoder: arguments of a ``WhisperConfig``, and weights, float32.

    The names of the weights are those of ``transformers.WhisperEncoder``. Keys have no bias in
    Whisper; CTranslate2's is zero and left out (it would add as much to every key's weight).

    Raises:
        CheckpointError: no such file, another model, a damaged one, or quantised weights.
    """
    path = folder / MODEL_FILE
    try:
        with path.open("rb") as content:
            found = _read_encoder(content, path)
    except (OSError, struct.error, UnicodeDecodeError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as a CTranslate2 model: {error}") from error
    try:
        return _translated(found)
    except KeyError as error:
        raise CheckpointError(f"{path}: lacks the variable {error}: convert it again") from error


def _read_encoder(content: BinaryIO, path: Path) -> dict[str, Tensor]:
    (version,) = _numbers(content, "I")
    if version not in _VERSIONS:
        raise CheckpointError(
            f"{path}: is of format version {version}, expected one of {_VERSIONS}: convert the "
            "model with a newer CTranslate2"
        )
    specification = _text(content)
    if specification != _SPECIFICATION:
        raise CheckpointError(f"{path}: is a {specification}, expected {_SPECIFICATION}")
    _, num_variables = _numbers(content, "II")
    found = {}
    for _ in range(num_variables):
        name = _text(content)
        (num_dimensions,) = _numbers(content, "B")
        shape = _numbers(content, f"{num_dimensions}I")
        kind, num_bytes = _numbers(content, "BI")
        if not name.startswith(_ENCODER):
            content.seek(num_bytes, 1)
            continue
        found[name.removeprefix(_ENCODER)] = _tensor(_exactly(content, num_bytes), kind, shape)
    return found


def _translated(found: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    weights = {ours: found[theirs] for theirs, ours in _NAMES.items()}
    num_layers = 0
    while f"layer_{num_layers}/{_PACKED}/weight" in found:
        theirs, ours = f"layer_{num_layers}/", f"layers.{num_layers}."
        for name, own in _LAYER_NAMES.items():
            weights[ours + own] = found[theirs + name]
        for kind in ("weight", "bias"):
            parts = found[f"{theirs}{_PACKED}/{kind}"].chunk(3)
            for projection, part in zip("qkv", parts, strict=True):
                if (projection, kind) != ("k", "bias"):
                    weights[f"{ours}self_attn.{projection}_proj.{kind}"] = part
        num_layers += 1
    quantised = [name for name, weight in weights.items() if not weight.is_floating_point()]
    if quantised:
        raise CheckpointError(
            f"found quantised weights ({quantised[0]} and {len(quantised) - 1} more), expected "
            "float16 or float32: convert the model without --quantization int8"
        )
    width, num_bands, _ = weights["conv1.weight"].shape
    arguments = {
        **_ARGUMENTS,
        "d_model": width,
        "encoder_layers": num_layers,
        "encoder_attention_heads": int(found["num_heads"]),
        "encoder_ffn_dim": len(weights["layers.0.fc1.bias"]),
        "num_mel_bins": num_bands,
        "max_source_positions": len(weights["embed_positions.weight"]),
    }
    return arguments, {name: weight.float() for name, weight in weights.items()}


def _tensor(content: bytes, kind: int, shape: tuple[int, ...]) -> Tensor:
    if kind not in _TYPES:
        raise ValueError(f"found type {kind}, expected one of {sorted(_TYPES)}")
    found = torch.frombuffer(bytearray(content), dtype=_TYPES[kind])
    if found.numel() != math.prod(shape):
        raise ValueError(f"found {found.numel()} values, expected {shape}")
    return found.reshape(shape)


def _text(content: BinaryIO) -> str:
    (length,) = _numbers(content, "H")
    return _exactly(content, length).rstrip(b"\0").decode()


def _numbers(content: BinaryIO, layout: str) -> tuple[int, ...]:
    layout = "<" + layout
    return struct.unpack(layout, _exactly(content, struct.calcsize(layout)))


def _exactly(content: BinaryIO, num_bytes: int) -> bytes:
    found = content.read(num_bytes)
    if len(found) != num_bytes:
        raise ValueError("it ends too early")
    return found
