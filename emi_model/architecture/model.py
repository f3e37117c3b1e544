"""The model: a waveform to EMI scores and valence-arousal-dominance in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from emi_model.architecture.audio_branch import Backbone, frame_mask, wav2vec2_config
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusion import Fusion, VadHead, masked_mean
from emi_model.errors import AudioError


@dataclass(frozen=True)
class EmiOutput:
    """What one forward pass gives for B clips of up to F frames.

    Attributes:
        emi: (B, targets), unbounded; None without targets.
        vad_mean: (B, 3), mean over frames of the frame VAD; None without a VAD head.
        vad_of_mean: (B, 3), VAD head on the mean hidden state; None without a VAD head.
        frame_vad: (B, F, 3), VAD of each frame, zero behind a clip's end; None likewise.
        global_vector: (B, D), mean over frames of the frame features.
        num_frames: int64 (B,), frames of each clip.
    """

    emi: Tensor | None
    vad_mean: Tensor | None
    vad_of_mean: Tensor | None
    frame_vad: Tensor | None
    global_vector: Tensor
    num_frames: Tensor


class EmiModel(nn.Module):
    """wav2vec2 with a VAD head per frame, a global mean vector beside an LSTM, fused.

    Hallmen et al., arXiv 2403.11879. A clip's output does not depend on the batch around it.
    """

    def __init__(self, config: EmiConfig) -> None:
        """Build the model with fresh weights."""
        super().__init__()
        self.config = config
        self.backbone = Backbone(config.backbone)
        dropout = float(wav2vec2_config(config.backbone).final_dropout)
        self.vad_head = VadHead(config.hidden_size, dropout) if config.vad_head else None
        self.fusion = Fusion(config) if config.targets else None

    def forward(
        self, waveforms: Tensor, num_samples: Tensor, *, backbone_dtype: torch.dtype | None = None
    ) -> EmiOutput:
        """Score B clips.

        Args:
            waveforms: float32 (B, S), normalised per clip on its own samples, zeros behind it.
            num_samples: int64 (B,), samples of each clip.
            backbone_dtype: let the backbone compute in this type (autocast); heads stay float32.

        Raises:
            AudioError: a clip of less than one frame.
        """
        num_frames = self.backbone.geometry.num_frames(num_samples)
        if bool((num_frames < 1).any()):
            raise AudioError(
                f"found a clip of {int(num_samples.min())} samples, expected at least "
                f"{self.backbone.geometry.min_samples} (one frame)"
            )
        lower = backbone_dtype is not None
        with torch.autocast(waveforms.device.type, dtype=backbone_dtype, enabled=lower):
            hidden = self.backbone(waveforms, num_samples)
        return self.heads(hidden.float(), num_frames)

    def heads(self, hidden: Tensor, num_frames: Tensor) -> EmiOutput:
        """Score B clips from the backbone's hidden states.

        Args:
            hidden: float32 (B, F, hidden), anything behind a clip's end.
            num_frames: int64 (B,), frames of each clip, one or more.
        """
        features, frame_vad, vad_mean, vad_of_mean = hidden, None, None, None
        if self.vad_head is not None:
            mask = frame_mask(num_frames, hidden.shape[1])[..., None]
            frame_vad = self.vad_head(hidden) * mask
            vad_mean = masked_mean(frame_vad, num_frames)
            vad_of_mean = self.vad_head(masked_mean(hidden, num_frames))
            features = torch.cat([hidden, frame_vad], dim=-1)
        global_vector = masked_mean(features, num_frames)
        emi = self.fusion(features, global_vector, num_frames) if self.fusion is not None else None
        return EmiOutput(emi, vad_mean, vad_of_mean, frame_vad, global_vector, num_frames)
