"""The text encoder of gte-en-mlm-base and gte-base-en-v1.5 (Zhang et al., arXiv 2407.19669).

The hub's config calls it ``new`` and brings its code along, which is never executed: the layers are
written here. Weights have the names of the hub's file, without its prefix ``new.``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from emi_model.errors import ConfigError

GTE = "new"
"""``model_type`` of these models in their config.json."""

_WHOLE = {
    "vocab_size": 30_528,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3_072,
    "max_position_embeddings": 8_192,
    "type_vocab_size": 0,
}
_REAL = {
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.0,
    "rope_theta": 500_000.0,
}
_FIXED = {
    "hidden_act": "gelu",
    "layer_norm_type": "layer_norm",
    "position_embedding_type": "rope",
    "pack_qkv": True,
    "logn_attention_scale": False,
}
"""Settings of which one value is written here."""


class GteConfig:
    """The settings of a `GteEncoder`, checked.

    Attributes:
        pad_token_id: token of padding.
        scaling_factor: of the rotary positions, by the NTK rule; 1 for none.
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float
    hidden_dropout_prob: float
    attention_probs_dropout_prob: float
    rope_theta: float

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """Read the content of a config.json.

        Raises:
            ConfigError: a setting that is not written here.
        """
        for name, usual in (_WHOLE | _REAL).items():
            value = arguments.get(name, usual)
            fits = isinstance(value, int if name in _WHOLE else (int, float))
            if not fits or isinstance(value, bool) or value < 0:
                raise ConfigError(f"encoder.{name} is {value!r}, expected the like of {usual}")
            setattr(self, name, value)
        for name, only in _FIXED.items():
            if (value := arguments.get(name, only)) != only:
                raise ConfigError(f"encoder.{name} is {value!r}, expected {only!r}")
        if not self.num_attention_heads or self.hidden_size % (2 * self.num_attention_heads):
            raise ConfigError(
                f"encoder.hidden_size is {self.hidden_size}, expected an even multiple of "
                f"num_attention_heads, {self.num_attention_heads}"
            )
        self.pad_token_id = int(arguments.get("pad_token_id") or 0)
        scaling = arguments.get("rope_scaling") or {"type": "ntk", "factor": 1.0}
        if scaling.get("type") != "ntk" or scaling.get("mixed_b") is not None:
            raise ConfigError(f"encoder.rope_scaling is {scaling}, expected one of type 'ntk'")
        self.scaling_factor = float(scaling.get("factor", 1.0))

    @property
    def head_size(self) -> int:
        """Width of an attention head."""
        return self.hidden_size // self.num_attention_heads


class GteEncoder(nn.Module):
    """Tokens to hidden states: post-norm layers, rotary positions, gated MLPs."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """Build it with fresh weights from the content of a config.json.

        Raises:
            ConfigError: a setting that is not written here.
        """
        super().__init__()
        self.config = GteConfig(arguments)
        self.embeddings = _Embeddings(self.config)
        layers = [_Layer(self.config) for _ in range(self.config.num_hidden_layers)]
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(layers)})

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return hidden states (B, T, hidden).

        Args:
            input_ids: int64 (B, T).
            attention_mask: (B, T), true or 1 on each text's own tokens.
        """
        states: Tensor = self.embeddings(input_ids)
        turns = rotary_angles(self.config, input_ids.shape[1], states.device)
        mask = attention_mask.bool()[:, None, None]
        for layer in self.encoder["layer"].children():
            states = layer(states, turns, mask)
        return states


def rotary_angles(config: GteConfig, num_tokens: int, device: torch.device) -> Tensor:
    """Return the angles (T, head) by which positions turn queries and keys, each one twice.

    With a scaling factor f the base is multiplied by f and all frequencies are divided by
    f^(2 / head), at any length: the hub's code builds its table for more than the trained length.
    """
    size, factor = config.head_size, config.scaling_factor
    powers = torch.arange(0, size, 2, device=device).float() / size
    base = config.rope_theta * factor
    frequencies = base**-powers / factor ** (2 / size)
    angles = torch.arange(num_tokens, device=device).float()[:, None] * frequencies
    return torch.cat([angles, angles], dim=-1)


def rotate(states: Tensor, angles: Tensor) -> Tensor:
    """Return heads (B, H, T, head) turned by their positions, the halves being the two axes."""
    first, second = states.chunk(2, dim=-1)
    return states * angles.cos() + torch.cat([-second, first], dim=-1) * angles.sin()


class _Embeddings(nn.Module):
    def __init__(self, config: GteConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.token_type_embeddings = (
            nn.Embedding(config.type_vocab_size, config.hidden_size)
            if config.type_vocab_size
            else None
        )
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Tensor) -> Tensor:
        words = self.word_embeddings(input_ids)
        if self.token_type_embeddings is not None:
            words = words + self.token_type_embeddings.weight[0]
        embedded: Tensor = self.dropout(self.LayerNorm(words))
        return embedded


class _Attention(nn.Module):
    def __init__(self, config: GteConfig) -> None:
        super().__init__()
        self._heads, self._size = config.num_attention_heads, config.head_size
        self._dropout = config.attention_probs_dropout_prob
        self.qkv_proj = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, states: Tensor, turns: Tensor, mask: Tensor) -> Tensor:
        packed = self.qkv_proj(states).unflatten(-1, (3, self._heads, self._size))
        query, key, value = packed.permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(
            rotate(query, turns).to(value.dtype),
            rotate(key, turns).to(value.dtype),
            value,
            attn_mask=mask,
            dropout_p=self._dropout if self.training else 0.0,
        )
        out: Tensor = self.o_proj(found.transpose(1, 2).flatten(2))
        return out


class _GatedMlp(nn.Module):
    def __init__(self, config: GteConfig) -> None:
        super().__init__()
        self.up_gate_proj = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, states: Tensor) -> Tensor:
        up, gate = self.up_gate_proj(states).chunk(2, dim=-1)
        down: Tensor = self.down_proj(self.dropout(functional.gelu(gate) * up))
        return down


class _Layer(nn.Module):
    def __init__(self, config: GteConfig) -> None:
        super().__init__()
        self.attention = _Attention(config)
        self.mlp = _GatedMlp(config)
        self.attn_ln = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp_ln = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, states: Tensor, turns: Tensor, mask: Tensor) -> Tensor:
        states = self.attn_ln(states + self.dropout(self.attention(states, turns, mask)))
        normed: Tensor = self.mlp_ln(states + self.dropout(self.mlp(states)))
        return normed
