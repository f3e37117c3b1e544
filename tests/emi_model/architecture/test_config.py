from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emi_model.architecture.config import MODEL_TYPE, EmiConfig
from emi_model.errors import ConfigError
from emi_model.targets import EMI_TARGETS, column_name

TARGETS = st.lists(
    st.sampled_from(["Joy", "Awe", "Empathic Pain", "Fear", "Überraschung"]), unique=True
).map(tuple)


def test_the_default_is_the_papers_model() -> None:
    config = EmiConfig()
    assert config.targets == EMI_TARGETS
    assert (config.hidden_size, config.feature_size, config.fusion_size) == (1024, 1024 + 3, 2054)
    assert (config.num_targets, config.lstm_layers, config.window_samples) == (6, 2, 192_000)


@pytest.mark.parametrize(
    ("switches", "feature_size", "fusion_size"),
    [
        ({}, 35, 70),
        ({"vad_head": False}, 32, 64),
        ({"global_vector": False}, 35, 35),
        ({"lstm": False}, 35, 35),
        ({"vad_head": False, "lstm": False}, 32, 32),
        ({"targets": ()}, 35, 70),
        ({"targets": (), "lstm": False, "global_vector": False}, 35, 0),
    ],
)
def test_sizes_follow_the_switches(
    tiny_backbone: Callable[..., dict[str, Any]],
    switches: dict[str, Any],
    feature_size: int,
    fusion_size: int,
) -> None:
    config = EmiConfig(backbone=tiny_backbone(), **switches)
    assert (config.feature_size, config.fusion_size) == (feature_size, fusion_size)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"targets": (), "vad_head": False}, "neither targets nor a VAD head"),
        ({"global_vector": False, "lstm": False}, "neither global vector nor LSTM"),
        ({"lstm_layers": 0}, "lstm_layers is 0"),
        ({"clip_seconds": 0.0}, "clip_seconds is 0.0"),
        ({"clip_seconds": -1.0}, "clip_seconds is -1.0"),
        ({"clip_seconds": float("nan")}, "clip_seconds is nan"),
        ({"clip_seconds": float("inf")}, "clip_seconds is inf"),
        ({"targets": ("Joy", "joy")}, "a name of its own"),
        ({"targets": ("Valence",)}, "a name of its own"),
    ],
)
def test_illegal_configs_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        EmiConfig(**fields)


@given(
    targets=TARGETS,
    switches=st.fixed_dictionaries(
        {name: st.booleans() for name in ("global_vector", "lstm", "regression_head")}
    ),
    lstm_layers=st.integers(1, 4),
    clip_seconds=st.floats(0.025, 60),
)
def test_config_survives_json(
    targets: tuple[str, ...], switches: dict[str, bool], lstm_layers: int, clip_seconds: float
) -> None:
    if targets and not (switches["global_vector"] or switches["lstm"]):
        switches["lstm"] = True
    config = EmiConfig(
        targets=targets, lstm_layers=lstm_layers, clip_seconds=clip_seconds, **switches
    )
    content = json.loads(json.dumps(config.to_dict()))
    assert content["model_type"] == MODEL_TYPE
    assert content["sampling_rate"] == 16_000
    again = EmiConfig.from_dict(content)
    assert again == config
    assert [column_name(name) for name in again.targets] == [column_name(name) for name in targets]


def test_targets_come_as_a_tuple_whatever_they_came_in() -> None:
    assert EmiConfig(targets=["Joy", "Awe"]).targets == ("Joy", "Awe")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "wav2vec2"}, "model_type is 'wav2vec2'"),
        ({"model_type": None}, "model_type is None"),
        ({"sampling_rate": 8_000}, "sampling_rate is 8000"),
        ({"wings": 2}, r"unknown fields \['wings'\]"),
        ({"lstm_layers": "2"}, "lstm_layers is '2', expected a whole number"),
        ({"lstm_layers": True}, "lstm_layers is True, expected a whole number"),
        ({"lstm": "yes"}, "lstm is 'yes', expected true or false"),
        ({"clip_seconds": None}, "clip_seconds is None, expected a number"),
        ({"targets": None}, "targets is None, expected a list of names"),
        ({"targets": [1, 2]}, r"targets is \[1, 2\], expected a list of names"),
        ({"targets": "Joy"}, "targets is 'Joy', expected a list of names"),
        ({"backbone": []}, r"backbone is \[\], expected an object"),
        ({"backbone": {"hidden_size": "16"}}, "backbone.hidden_size is '16', expected the like of"),
        ({"backbone": {"conv_dim": 8}}, "backbone.conv_dim is 8, expected the like of"),
        ({"backbone": {"layerdrop": None}}, "backbone.layerdrop is None"),
    ],
)
def test_foreign_content_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        EmiConfig.from_dict({**EmiConfig().to_dict(), **change})


BRANCHES = {"audio": {}, "text": {"width": 8, "optional": True}, "face": {}}


def test_branches_survive_json_and_audio_alone_is_not_written() -> None:
    assert "branches" not in EmiConfig().to_dict()
    assert EmiConfig.from_dict(EmiConfig().to_dict()).branches == {"audio": {}}
    config = EmiConfig(branches=BRANCHES)
    again = EmiConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again.modalities == ("audio", "text", "face")
    assert again.needs == {"audio": True, "text": False, "face": True}
    assert again.arguments_of("text") == {"width": 8}


@pytest.mark.parametrize(
    ("branches", "said"),
    [
        ({}, "found no branch, expected one or more"),
        ({"audio": 3}, "'audio' is 3"),
        ("audio", "branches is 'audio', expected an object"),
    ],
)
def test_illegal_branches_are_refused(branches: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        EmiConfig.from_dict({**EmiConfig().to_dict(), "branches": branches})
