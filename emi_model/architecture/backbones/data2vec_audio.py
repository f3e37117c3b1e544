"""data2vec for audio (Baevski et al., arXiv 2202.03555)."""

from __future__ import annotations

from typing import Any

from transformers import Data2VecAudioConfig, Data2VecAudioModel

from emi_model.architecture.backbones.convolutional import ConvolutionalBackbone


class Data2VecAudioBackbone(ConvolutionalBackbone):
    """A ``transformers.Data2VecAudioModel``.

    Its position is five convolutions with norms between them: after the first, padding is no
    longer zero and reaches a clip's last frames. So clips of one length share a call.
    """

    model_type = "data2vec-audio"
    config_class = Data2VecAudioConfig
    model_class = Data2VecAudioModel
    prefix = "data2vec_audio"

    @classmethod
    def masks_exactly(cls, config: Any) -> bool:
        """Return false."""
        return False
