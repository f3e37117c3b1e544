"""wav2vec2 (Baevski et al., arXiv 2006.11477), the paper's backbone."""

from __future__ import annotations

from transformers import Wav2Vec2Config, Wav2Vec2Model

from emi_model.architecture.backbones.convolutional import ConvolutionalBackbone


class Wav2Vec2Backbone(ConvolutionalBackbone):
    """A ``transformers.Wav2Vec2Model``."""

    model_type = "wav2vec2"
    config_class = Wav2Vec2Config
    model_class = Wav2Vec2Model
    prefix = "wav2vec2"
    wav2vec2: Wav2Vec2Model
