"""The forward pass of "Semantic Matters", written from its description, as the authors run it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Wav2Vec2Config, Wav2Vec2Model

from emi_model.arrays import Array

TEXT = {"hidden": 16, "layers": 2, "heads": 2, "inner": 24, "words": 40, "theta": 500_000.0}
VISION_LSTM = 12
VIDEO_WIDTH = 16


class _Head(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, 3)


class _Audio(nn.Module):
    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__()
        self.wav2vec2 = Wav2Vec2Model(Wav2Vec2Config(**arguments))
        self.classifier = _Head(arguments["hidden_size"])


def _tree(parts: dict[str, nn.Module]) -> nn.ModuleDict:
    return nn.ModuleDict(parts)


class _Text(nn.Module):
    """Post-norm layers with packed projections, rotary positions and a gated MLP."""

    def __init__(self) -> None:
        super().__init__()
        size, inner = int(TEXT["hidden"]), int(TEXT["inner"])
        self.embeddings = _tree(
            {
                "word_embeddings": nn.Embedding(int(TEXT["words"]), size),
                "LayerNorm": nn.LayerNorm(size, eps=1e-12),
            }
        )
        layers = [
            _tree(
                {
                    "attention": _tree(
                        {"qkv_proj": nn.Linear(size, 3 * size), "o_proj": nn.Linear(size, size)}
                    ),
                    "mlp": _tree(
                        {
                            "up_gate_proj": nn.Linear(size, 2 * inner, bias=False),
                            "down_proj": nn.Linear(inner, size),
                        }
                    ),
                    "attn_ln": nn.LayerNorm(size, eps=1e-12),
                    "mlp_ln": nn.LayerNorm(size, eps=1e-12),
                }
            )
            for _ in range(int(TEXT["layers"]))
        ]
        self.encoder = _tree({"layer": nn.ModuleList(layers)})

    def cls(self, tokens: Sequence[int]) -> Tensor:
        """Return the first token's state of one text, without padding."""
        found: Any = self.embeddings
        states = found["LayerNorm"](found["word_embeddings"](torch.tensor(tokens)))
        layers: Any = self.encoder["layer"]
        for layer in layers:
            attended = self._attention(layer["attention"], states)
            states = layer["attn_ln"](states + attended)
            up, gate = layer["mlp"]["up_gate_proj"](states).split(int(TEXT["inner"]), dim=-1)
            inner = layer["mlp"]["down_proj"](functional.gelu(gate) * up)
            states = layer["mlp_ln"](states + inner)
        first: Tensor = states[0]
        return first

    def _attention(self, attention: Any, states: Tensor) -> Tensor:
        size = int(TEXT["hidden"]) // int(TEXT["heads"])
        packed = attention["qkv_proj"](states)
        heads = []
        for head in range(int(TEXT["heads"])):
            own = [
                part[:, head * size : (head + 1) * size]
                for part in packed.split(int(TEXT["hidden"]), dim=-1)
            ]
            query, key = (self._turned(part) for part in own[:2])
            shares = (query @ key.T / math.sqrt(size)).softmax(dim=-1)
            heads.append(shares @ own[2])
        out: Tensor = attention["o_proj"](torch.cat(heads, dim=-1))
        return out

    def _turned(self, values: Tensor) -> Tensor:
        num_tokens, size = values.shape
        half = size // 2
        turned = torch.empty_like(values)
        for place in range(num_tokens):
            for pair in range(half):
                angle = place / float(TEXT["theta"]) ** (2 * pair / size)
                one, two = values[place, pair], values[place, pair + half]
                turned[place, pair] = one * math.cos(angle) - two * math.sin(angle)
                turned[place, pair + half] = two * math.cos(angle) + one * math.sin(angle)
        return turned


class SemanticMatters(nn.Module):
    """Their model; `forward` is their batch, `exact` is one clip without padding."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__()
        width = arguments["hidden_size"] + 3
        self.audio_model = _Audio(arguments)
        self.lstm_audio = nn.LSTM(width, width, 2, batch_first=True)
        self.lstm_vis = nn.LSTM(VIDEO_WIDTH, VISION_LSTM, 2, batch_first=True)
        joined = width + VISION_LSTM + int(TEXT["hidden"])
        self.fusion_model = nn.Sequential(nn.Linear(joined, width), nn.Tanh(), nn.Linear(width, 6))
        self.text_model = _Text()

    def forward(
        self, waveforms: Sequence[Array], videos: Sequence[Tensor], texts: Sequence[Sequence[int]]
    ) -> Tensor:
        """Return (B, 6): no mask, padded to the longest, read where their formula says."""
        longest = max(map(len, waveforms))
        padded = torch.zeros(len(waveforms), longest)
        for row, waveform in zip(padded, waveforms, strict=True):
            row[: len(waveform)] = _normalised(waveform)
        states, _ = self.lstm_audio(self._features(padded))
        num_frames = states.shape[1]
        heard = [
            row[max(1, math.floor(len(waveform) / (192_000 / num_frames))) - 1]
            for row, waveform in zip(states, waveforms, strict=True)
        ]
        return self._fused(heard, videos, texts)

    def exact(self, waveform: Array, video: Tensor, text: Sequence[int]) -> Tensor:
        """Return (6,) of one clip, read at its last frame."""
        states, _ = self.lstm_audio(self._features(_normalised(waveform)[None]))
        return self._fused([states[0, -1]], [video], [text])[0]

    def _features(self, padded: Tensor) -> Tensor:
        hidden = self.audio_model.wav2vec2(padded).last_hidden_state
        head = self.audio_model.classifier
        return torch.cat([hidden, head.out_proj(torch.tanh(head.dense(hidden)))], dim=-1)

    def _fused(
        self, heard: Sequence[Tensor], videos: Sequence[Tensor], texts: Sequence[Sequence[int]]
    ) -> Tensor:
        seen = [self.lstm_vis(video[None])[0][0, -1] for video in videos]
        words = [self.text_model.cls(text) for text in texts]
        rows = [torch.cat(parts) for parts in zip(heard, seen, words, strict=True)]
        fused: Tensor = self.fusion_model(torch.stack(rows))
        return fused


def _normalised(waveform: Array) -> Tensor:
    values = waveform.astype(np.float64) / 2**15
    scaled = (values - values.mean()) / np.sqrt(values.var() + 1e-7)
    return torch.tensor(scaled, dtype=torch.float32)
