"""The families of audio backbones by name; light to import, without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

DEFAULT_FAMILY = "wav2vec2"
"""The family of a backbone whose arguments name none."""


class Family(NamedTuple):
    """One family of backbones.

    Attributes:
        module: of this folder that has its class.
        class_name: of that class.
        width: the argument that is the width of its hidden states.
        usual_width: where it is not given.
    """

    module: str
    class_name: str
    width: str = "hidden_size"
    usual_width: int = 768


FAMILIES: Mapping[str, Family] = {
    "wav2vec2": Family("wav2vec2", "Wav2Vec2Backbone"),
    "hubert": Family("hubert", "HubertBackbone"),
    "wavlm": Family("wavlm", "WavLMBackbone"),
    "data2vec-audio": Family("data2vec_audio", "Data2VecAudioBackbone"),
    "wav2vec2-bert": Family("wav2vec2_bert", "Wav2Vec2BertBackbone", usual_width=1024),
    "whisper": Family("whisper", "WhisperBackbone", "d_model", 384),
}
"""By the ``model_type`` of their config.json."""


def named_family(arguments: Mapping[str, Any]) -> Family | None:
    """Return the family that a backbone's arguments name; None if it is none of these."""
    return FAMILIES.get(str(arguments.get("model_type", DEFAULT_FAMILY)))


def width_argument(arguments: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the argument that is a backbone's width, and its value."""
    family = named_family(arguments) or FAMILIES[DEFAULT_FAMILY]
    return family.width, arguments.get(family.width, family.usual_width)
