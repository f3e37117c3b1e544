"""The forward pass for clips of one length, in plain tensors: what `torch.export` can take."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from emi_model.architecture.fusions.paper import PaperFusion
from emi_model.architecture.longest_clip import LONGEST_SAMPLES
from emi_model.architecture.model import EmiModel
from emi_model.audio.waveform import NORMALISATION_EPSILON
from emi_model.errors import ConfigError
from emi_model.modalities import AUDIO


class EqualClips(nn.Module):
    """Scores clips that all have the same number of samples, from waveforms to dictionaries.

    Its weights are the model's own. The outputs are those of `EmiModel`, by name.
    """

    def __init__(self, model: EmiModel) -> None:
        """Take a model of audio alone.

        Raises:
            ConfigError: it has other branches, another fusion than the paper's, a backbone other
                than wav2vec2, or the authors' read-out of 2025.
        """
        super().__init__()
        if model.config.modalities != (AUDIO,):
            raise ConfigError(
                f"the model has branches {list(model.config.modalities)}, expected audio alone"
            )
        if model.fusion is not None and not isinstance(model.fusion, PaperFusion):
            raise ConfigError(
                f"the model has the fusion {model.config.fusion}, expected none named"
            )
        backbone = model.audio.backbone
        if backbone.model_type != "wav2vec2":
            raise ConfigError(
                f"the model has a {backbone.model_type} backbone, expected wav2vec2: others cannot "
                "be exported"
            )
        if model.audio.longest_clip is not None:
            raise ConfigError(
                f"the model has {LONGEST_SAMPLES} {model.audio.longest_clip.num_samples}, expected "
                "none: padding that is heard cannot be exported"
            )
        self.model = model

    def forward(self, waveforms: Tensor) -> dict[str, Tensor]:
        """Score B clips.

        Args:
            waveforms: float32 (B, S), 16 kHz mono, at least one frame.

        Returns:
            ``emi`` (B, targets) and ``vad_mean``, ``vad_of_mean`` (B, 3), ``frame_vad`` (B, F, 3),
            where the model has them, and ``global_vector`` (B, D).
        """
        branch, fusion = self.model.audio, self.model.fusion
        assert fusion is None or isinstance(fusion, PaperFusion), "checked at the start"
        backbone: Any = branch.backbone
        prepared = _normalised(waveforms) if backbone.normalises else waveforms
        hidden = backbone.wav2vec2(prepared).last_hidden_state
        num_frames = hidden.new_full((hidden.shape[0],), hidden.shape[1], dtype=torch.int64)
        output = branch.heads(hidden, num_frames)
        vector = output.clip_vector()
        found = {**output.extras, "global_vector": vector}
        if fusion is not None:
            parts = [vector] if fusion.uses_global_vector else []
            if fusion.lstm is not None:
                parts.append(fusion.lstm(output.features)[1][0][-1])
            found["emi"] = fusion.fuse([torch.cat(parts, dim=-1)])
        return found


def _normalised(waveforms: Tensor) -> Tensor:
    mean = waveforms.mean(dim=1, keepdim=True)
    variance = waveforms.var(dim=1, keepdim=True, correction=0)
    return (waveforms - mean) / torch.sqrt(variance + NORMALISATION_EPSILON)


def exported(model: EmiModel, num_samples: int, num_clips: int = 1) -> torch.export.ExportedProgram:
    """Return the program of `torch.export` that scores waveforms (num_clips, num_samples).

    Args:
        model: a model of audio alone.
        num_samples: of each clip, at 16 kHz, at least one frame.
        num_clips: of a batch.

    Raises:
        ConfigError: as `EqualClips`.
    """
    with warnings.catch_warnings():  # PyTorch's own LSTM assigns its list of weights
        warnings.filterwarnings("ignore", "The tensor attributes .*_flat_weights")
        like = torch.zeros(num_clips, num_samples)
        return torch.export.export(EqualClips(model).eval(), (like,))
