"""The complete, validated architecture of one model: the content of config.json."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from emi_model.architecture.backbones.families import width_argument
from emi_model.errors import ConfigError
from emi_model.modalities import AUDIO
from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, validate_targets
from emi_model.units import CLIP_SECONDS, SAMPLING_RATE, seconds_to_samples

Numerics = Literal["fp32", "bf16", "int8"]
"""Number formats in which scores can be computed."""

Precision = Literal["auto", Numerics]
"""Numerics of scoring: float32 everywhere, or the backbone's matrix products in bfloat16, or
on a CPU those of its encoder's linear layers in int8. Heads are float32 in all of them, except
that with bfloat16 on a GPU the factors of their large products are float16.

``auto`` is bfloat16 where the device multiplies it natively and the model is large enough to gain
from it, float32 elsewhere.
"""

MODEL_TYPE = "emi"
"""Marks our config.json, to distinguish it from those of other layouts."""

WAV2VEC2_LARGE_ROBUST_12: dict[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 12,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "conv_dim": [512] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "layerdrop": 0.1,
    "vocab_size": None,
}
"""wav2vec2-large-robust cut to 12 layers (Wagner et al., arXiv 2203.07378): shapes, no weights."""


OPTIONAL = "optional"
"""Argument of any branch: clips may lack its modality; a learnt token stands in for it."""

KIND = "kind"
"""Argument of any branch: the name of its class where that is not the modality's, as ``series``."""

SERIES = "series"
"""A kind: any numeric time series, whatever the modality is called."""

SIGMOID = "sigmoid"

OUTPUTS = ("linear", SIGMOID)
"""Outputs of a model: unbounded, or between 0 and 1 by a sigmoid."""

AUDIO_ALONE: Mapping[str, Mapping[str, Any]] = {AUDIO: {}}


@dataclass(frozen=True)
class EmiConfig:
    """Architecture of an `EmiModel`.

    The four switches are those of the paper's ablation (Table 2); the full model has all of them.
    All fields but the last describe the audio branch, and how frames of any branch are fused.

    Attributes:
        backbone: arguments of a ``transformers`` config; its ``model_type`` names the family
            (`emi_model.architecture.backbones`), without one it is a ``Wav2Vec2Config``.
        targets: names and order of the EMI outputs; empty for a model that gives VAD alone.
        vad_head: predict arousal, dominance, valence on every frame and append them to its
            features; off: frame features are the hidden states and the model gives no VAD.
        global_vector: the fusion gets the mean of the frame features over time.
        lstm: the fusion gets the state of the LSTM at the last frame.
        regression_head: fuse by Linear, tanh, Linear; off: by one Linear.
        lstm_layers: layers of the LSTM.
        clip_seconds: length of a window, the stretch that the model scores at once.
        branches: arguments of each branch by its modality, in the order in which they are fused;
            `OPTIONAL` and `KIND` may be among them. The audio branch has no others but ``trained``.
        fusion: ``name`` of the fusion (`emi_model.architecture.fusions`), and its arguments; None:
            that of the paper, which the switches describe.
        output: of the fusion, ``linear`` or ``sigmoid``.
    """

    backbone: Mapping[str, Any] = field(default_factory=lambda: dict(WAV2VEC2_LARGE_ROBUST_12))
    targets: tuple[str, ...] = EMI_TARGETS
    vad_head: bool = True
    global_vector: bool = True
    lstm: bool = True
    regression_head: bool = True
    lstm_layers: int = 2
    clip_seconds: float = CLIP_SECONDS
    branches: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: dict(AUDIO_ALONE))
    fusion: Mapping[str, Any] | None = None
    output: str = OUTPUTS[0]

    def __post_init__(self) -> None:
        """Check every field, so that a model can be built from every `EmiConfig`."""
        object.__setattr__(self, "targets", validate_targets(self.targets))
        if not self.targets and not (self.vad_head and AUDIO in self.branches):
            raise ConfigError("found neither targets nor a VAD head: the model would give nothing")
        if self.targets and not (self.global_vector or self.lstm):
            raise ConfigError("found neither global vector nor LSTM: the fusion needs one of them")
        if self.lstm_layers < 1:
            raise ConfigError(f"lstm_layers is {self.lstm_layers}, expected 1 or more")
        if not 0 < self.clip_seconds < math.inf:
            raise ConfigError(f"clip_seconds is {self.clip_seconds}, expected more than 0")
        for modality, arguments in self.branches.items():
            if not isinstance(arguments, Mapping):
                raise ConfigError(f"branch {modality!r} is {arguments!r}, expected its arguments")
        if self.fusion is not None and not isinstance(self.fusion.get("name"), str):
            raise ConfigError(f"fusion is {self.fusion!r}, expected its name and arguments")
        if self.output not in OUTPUTS:
            raise ConfigError(f"output is {self.output!r}, expected one of {list(OUTPUTS)}")
        if not self.branches:
            raise ConfigError("found no branch, expected one or more")

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that the model takes, in the order of its branches."""
        return tuple(self.branches)

    @property
    def required(self) -> tuple[str, ...]:
        """Modalities that every clip must have; a clip needs one of any kind at least."""
        return tuple(name for name in self.branches if not self.branches[name].get(OPTIONAL))

    @property
    def needs(self) -> dict[str, bool]:
        """Modalities that the model takes, each with whether a clip cannot be scored without it."""
        return {name: name in self.required for name in self.branches}

    def arguments_of(self, modality: str) -> dict[str, Any]:
        """Return the arguments that a branch is built with, in addition to this config."""
        given = self.branches[modality]
        return {name: value for name, value in given.items() if name not in (OPTIONAL, KIND)}

    def kind_of(self, modality: str) -> str | None:
        """Return the name of a branch's class; None: it is the modality's.

        Raises:
            ConfigError: it is no text.
        """
        kind = self.branches[modality].get(KIND)
        if kind is not None and not isinstance(kind, str):
            raise ConfigError(f"kind of branch {modality!r} is {kind!r}, expected a name")
        return kind

    @property
    def num_targets(self) -> int:
        """Number of EMI outputs."""
        return len(self.targets)

    @property
    def hidden_size(self) -> int:
        """Width of the backbone's hidden states."""
        return int(width_argument(self.backbone)[1])

    @property
    def feature_size(self) -> int:
        """Width of a frame's features: hidden states, and VAD where there is a VAD head."""
        return self.hidden_size + (len(VAD_DIMENSIONS) if self.vad_head else 0)

    @property
    def fusion_size(self) -> int:
        """Width of the fusion's input from the audio branch."""
        return self.feature_size * (int(self.global_vector) + int(self.lstm))

    @property
    def window_samples(self) -> int:
        """Samples of one window at 16 kHz."""
        return seconds_to_samples(self.clip_seconds)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of config.json, which leaves out what is new and not used."""
        plain = self.own_fields() | {"targets": list(self.targets)}
        return {"model_type": MODEL_TYPE, "sampling_rate": SAMPLING_RATE, **plain}

    def own_fields(self) -> dict[str, Any]:
        """Return the fields by name, without the later ones that the first models lack.

        So a model of audio alone has the config, and its training the id, that it always had.
        """
        plain = asdict(self) | {"backbone": dict(self.backbone)}
        return {
            name: value
            for name, value in plain.items()
            if name not in _LATER or value != _LATER[name]
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> EmiConfig:
        """Read what `to_dict` wrote.

        Raises:
            ConfigError: not a config of this project, or one with unknown fields or with values of
                another type.
        """
        if content.get("model_type") != MODEL_TYPE:
            raise ConfigError(
                f"model_type is {content.get('model_type')!r}, expected {MODEL_TYPE!r}"
            )
        if content.get("sampling_rate") != SAMPLING_RATE:
            raise ConfigError(
                f"sampling_rate is {content.get('sampling_rate')!r}, expected {SAMPLING_RATE}"
            )
        names = {entry.name for entry in fields(cls)}
        given = {k: v for k, v in content.items() if k not in ("model_type", "sampling_rate")}
        if unknown := sorted(set(given) - names):
            raise ConfigError(f"unknown fields {unknown}: written by a newer version? update")
        for name, value in given.items():
            _check_type(name, value)
        return cls(**{**given, "targets": tuple(given.get("targets", EMI_TARGETS))})


_LATER: Mapping[str, Any] = {"branches": AUDIO_ALONE, "fusion": None, "output": OUTPUTS[0]}
"""Fields that config.json leaves out where they have these values."""

_SWITCH = ("true or false", lambda value: isinstance(value, bool))
_OBJECT = ("an object", lambda value: isinstance(value, Mapping))
_TYPES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "backbone": _OBJECT,
    "targets": ("a list of names", lambda value: _is_list_of(value, str)),
    **dict.fromkeys(("vad_head", "global_vector", "lstm", "regression_head"), _SWITCH),
    "lstm_layers": ("a whole number", lambda value: _is_number(value, int)),
    "clip_seconds": ("a number", lambda value: _is_number(value, (int, float))),
    "branches": _OBJECT,
    "fusion": ("an object", lambda value: value is None or isinstance(value, Mapping)),
    "output": ("a text", lambda value: isinstance(value, str)),
}
"""What each field of config.json holds, in words and as a check."""


def _check_type(name: str, value: Any) -> None:
    """Check the type of a field, and of the backbone's arguments as far as we use them.

    Raises:
        ConfigError: it is another; the message names the field.
    """
    expected, fits = _TYPES[name]
    if not fits(value):
        raise ConfigError(f"{name} is {value!r}, expected {expected}")
    if name != "backbone":
        return
    width, given = width_argument(value)
    if width not in WAV2VEC2_LARGE_ROBUST_12 and not _is_number(given, int):
        raise ConfigError(f"backbone.{width} is {given!r}, expected a whole number")
    for argument, usual in WAV2VEC2_LARGE_ROBUST_12.items():
        given = value.get(argument, usual)
        if isinstance(usual, list):
            holds = _is_list_of(given, int)
        elif usual is None:
            holds = given is None or _is_number(given, int)
        elif type(usual) is float:
            holds = _is_number(given, (int, float))
        else:
            holds = type(given) is type(usual)
        if not holds:
            raise ConfigError(f"backbone.{argument} is {given!r}, expected the like of {usual!r}")


def _is_number(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, (list, tuple)) and all(type(inner) is kind for inner in value)
