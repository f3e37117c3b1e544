"""wav2vec2 (Baevski et al., arXiv 2006.11477), the paper's backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emi_model.architecture.backbones.convolutional import ConvolutionalBackbone
from emi_model.architecture.backbones.wav2vec2_weights import weights_to_score

if TYPE_CHECKING:
    from transformers import Wav2Vec2Model


class _OfTransformers:
    """An attribute of a class that is imported from ``transformers`` when it is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: object) -> Any:
        import transformers

        return getattr(transformers, self._name)


class Wav2Vec2Backbone(ConvolutionalBackbone):
    """A ``transformers.Wav2Vec2Model``, or its weights alone where these suffice to score."""

    model_type = "wav2vec2"
    config_class = _OfTransformers("Wav2Vec2Config")
    model_class = _OfTransformers("Wav2Vec2Model")
    prefix = "wav2vec2"
    wav2vec2: Wav2Vec2Model

    @classmethod
    def built_model(cls, arguments: Mapping[str, Any]) -> Any:
        """Return the model, or its weights, as `ConvolutionalBackbone` does."""
        return weights_to_score(arguments) or super().built_model(arguments)
