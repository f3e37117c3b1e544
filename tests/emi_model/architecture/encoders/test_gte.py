"""gte's layers against the same family in `transformers`, whose weights are laid out otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import GteConfig as ReferenceConfig
from transformers import GteModel

from emi_model.architecture.encoders.gte import GteEncoder, rotary_angles
from emi_model.errors import ConfigError

SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 40,
    "max_position_embeddings": 64,
}


def reference_of(encoder: GteEncoder, type_vocab_size: int, theta: float) -> GteModel:
    """Return the model of `transformers` with an encoder's weights."""
    rope = {"rope_type": "default", "rope_theta": theta}
    config = ReferenceConfig(**SIZES, type_vocab_size=type_vocab_size, rope_parameters=rope)
    model = GteModel(config)
    state: dict[str, Tensor] = {}
    for name, weight in encoder.state_dict().items():
        name = name.replace("encoder.layer.", "layers.").replace(
            "attention.o_proj", "self_attn.o_proj"
        )
        name = name.replace("attn_ln", "post_attention_layernorm")
        name = name.replace("mlp_ln", "post_mlp_layernorm")
        if "qkv_proj" in name:
            for part, own in zip("qkv", weight.chunk(3), strict=True):
                state[name.replace("attention.qkv_proj", f"self_attn.{part}_proj")] = own
        elif "up_gate_proj" in name:
            for part, own in zip(("up", "gate"), weight.chunk(2), strict=True):
                state[name.replace("up_gate_proj", f"{part}_proj")] = own
        else:
            state[name] = weight
    model.load_state_dict(state)
    return model.eval()


@pytest.mark.parametrize(("type_vocab_size", "factor"), [(0, 1.0), (2, 1.0), (0, 2.0)])
def test_states_are_those_of_transformers(
    enliven: Any, type_vocab_size: int, factor: float
) -> None:
    scaling = {"type": "ntk", "factor": factor}
    settings = SIZES | {"type_vocab_size": type_vocab_size, "rope_theta": 1_000.0}
    encoder = enliven(GteEncoder(settings | {"rope_scaling": scaling}))
    reference = reference_of(encoder, type_vocab_size, 1_000.0 * factor)
    # the NTK rule: the base times the factor, then all frequencies by factor^(2 / head)
    reference.rotary_emb.inv_freq /= factor ** (2 / 12)
    tokens = torch.arange(1, 21).reshape(2, 10)
    mask = torch.ones(2, 10, dtype=torch.long)
    mask[1, 6:] = 0
    with torch.inference_mode():
        found = encoder(tokens, mask)
        expected = reference(input_ids=tokens, attention_mask=mask).last_hidden_state
    for row, length in enumerate((10, 6)):
        torch.testing.assert_close(found[row, :length], expected[row, :length], rtol=0, atol=1e-5)
    angles = rotary_angles(encoder.config, 3, torch.device("cpu"))
    assert float(angles[2, 0]) == pytest.approx(2 / factor ** (2 / 12))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"hidden_act": "relu"}, "hidden_act is 'relu', expected 'gelu'"),
        ({"num_attention_heads": 5}, "hidden_size is 24, expected an even multiple"),
        ({"hidden_size": "wide"}, "hidden_size is 'wide'"),
        ({"rope_scaling": {"type": "yarn"}}, "expected one of type 'ntk'"),
    ],
)
def test_what_is_not_written_here_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        GteEncoder(SIZES | settings)
