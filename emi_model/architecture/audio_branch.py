"""The audio branch: waveforms become hidden states and VAD, the same in any batch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emi_model.architecture.backbones.kept import KeptFrames
from emi_model.architecture.backbones.registry import build_backbone
from emi_model.architecture.branch import (
    Branch,
    BranchOutput,
    InputSpec,
    frame_mask,
    masked_mean,
)
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.encoder_branch import TRAINED
from emi_model.architecture.longest_clip import LONGEST_SAMPLES, LongestClip
from emi_model.architecture.registry import register_branch
from emi_model.errors import AudioError, ConfigError
from emi_model.modalities import AUDIO
from emi_model.targets import VAD_DIMENSIONS
from emi_model.units import SAMPLING_RATE

HASH_DIGITS = 12
"""Of the hash of an encoder, in the names of folders with its outputs."""


class VadHead(nn.Module):
    """Dropout, Linear, tanh, dropout, Linear: arousal, dominance, valence of a hidden state.

    The head of the public VAD model (Wagner et al., arXiv 2203.07378). It is not linear: its
    outputs' mean over frames is not its output for the mean frame.
    """

    def __init__(self, hidden_size: int, dropout: float) -> None:
        """Build the head for hidden states of ``hidden_size``."""
        super().__init__()
        self.dense = nn.Linear(hidden_size, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.out_proj = nn.Linear(hidden_size, len(VAD_DIMENSIONS))

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (..., 3), unbounded, of hidden states (..., hidden)."""
        dense = torch.tanh(self.dense(self.dropout(hidden)))
        vad: Tensor = self.out_proj(self.dropout(dense))
        return vad


@register_branch(AUDIO)
class AudioBranch(Branch):
    """The backbone, and a VAD head on every frame (Hallmen et al., arXiv 2403.11879).

    The paper's backbone is wav2vec2; `emi_model.architecture.backbones` has the others. With
    ``trained: false`` the backbone stays as it is, and only what follows it is trained.

    A frame's features are its hidden state and its VAD; a clip's vector is their mean. The extras
    are ``frame_vad`` (B, F, 3), zero after a clip's end, ``vad_mean`` (B, 3), its mean, and
    ``vad_of_mean`` (B, 3), the VAD of the mean hidden state; without a VAD head there are none.
    """

    def __init__(self, config: EmiConfig, arguments: Mapping[str, Any]) -> None:
        """Build the branch from the fields of the config, with fresh weights.

        Raises:
            ConfigError: unknown arguments, or windows that the backbone cannot encode.
        """
        super().__init__()
        if unknown := sorted(set(arguments) - {TRAINED, LONGEST_SAMPLES}):
            raise ConfigError(
                f"branch 'audio' has {unknown}, expected no argument but {TRAINED!r} and "
                f"{LONGEST_SAMPLES!r}"
            )
        self.longest_clip = LongestClip.of(arguments)
        self.backbone = build_backbone(config.backbone)
        longest = self.backbone.max_samples
        if longest is not None and config.window_samples > longest:
            raise ConfigError(
                f"clip_seconds is {config.clip_seconds}, expected at most "
                f"{longest / SAMPLING_RATE:g}: a {self.backbone.model_type} backbone has no "
                "positions for more"
            )
        dropout = self.backbone.head_dropout
        self.vad_head = VadHead(config.hidden_size, dropout) if config.vad_head else None
        self.feature_size = config.feature_size
        self.hidden_size = config.hidden_size
        self.needs_equal_lengths = self.backbone.needs_equal_lengths
        self.hop_samples = self.backbone.geometry.hop_samples
        self.spec = InputSpec(
            min_length=self.backbone.geometry.min_samples,
            prepare=self.backbone.prepare,
            rate=float(SAMPLING_RATE),
        )
        self._kept: KeptFrames | None = None
        self._shared: Path | None = None
        self.trained = bool(arguments.get(TRAINED, True))
        if not self.trained:
            self.backbone.requires_grad_(False)

    def forward(
        self, values: Tensor, lengths: Tensor, *, dtype: torch.dtype | None = None
    ) -> BranchOutput:
        """Encode B clips.

        Args:
            values: float32 (B, S), each clip prepared by ``spec``, zeros after its end.
            lengths: int64 (B,), samples of each clip.
            dtype: type in which the backbone computes (autocast); the VAD head stays float32.

        Raises:
            AudioError: a clip of less than one frame.
        """
        num_frames = self.backbone.geometry.num_frames(lengths)
        if bool((num_frames < 1).any()):
            raise AudioError(
                f"found a clip of {int(lengths.min())} samples, expected at least "
                f"{self.spec.min_length} (one frame)"
            )
        if self.longest_clip is not None:
            values, padded = self.longest_clip.padded(values, lengths)
            num_frames = self.longest_clip.read_frames(
                lengths, self.backbone.geometry.num_frames(padded)
            )
            lengths = padded
        if self._kept is not None:
            return self.heads(self._kept(self.backbone, values, lengths, dtype), num_frames)
        with torch.autocast(values.device.type, dtype=dtype, enabled=dtype is not None):
            hidden = self.backbone(values, lengths)
        return self.heads(hidden.float(), num_frames)

    def heads(self, hidden: Tensor, num_frames: Tensor) -> BranchOutput:
        """Return the branch's output for the backbone's hidden states.

        Args:
            hidden: float32 (B, F, hidden), any values after a clip's end.
            num_frames: int64 (B,), frames of each clip, one or more.
        """
        if self.vad_head is None:
            return BranchOutput(hidden, num_frames, masked_mean(hidden, num_frames))
        mask = frame_mask(num_frames, hidden.shape[1])[..., None]
        frame_vad = self.vad_head(hidden) * mask
        extras = {
            "frame_vad": frame_vad,
            "vad_mean": masked_mean(frame_vad, num_frames),
            "vad_of_mean": self.vad_head(masked_mean(hidden, num_frames)),
        }
        features = torch.cat([hidden, frame_vad], dim=-1)
        return BranchOutput(features, num_frames, masked_mean(features, num_frames), extras)

    def train(self, mode: bool = True) -> AudioBranch:
        """Set the mode; a backbone that is not trained stays in evaluation mode."""
        super().train(mode)
        self.backbone.train(mode and self.trained)
        return self

    def keep_outputs(self, *, kept: bool) -> None:
        """Encode each clip once, where the backbone is not trained; or forget what was kept."""
        repeats = not self.trained and self.longest_clip is None  # else the batch decides
        self._kept = (self._kept or KeptFrames(folder=self._shared)) if kept and repeats else None

    @property
    def keeps_outputs(self) -> bool:
        """Whether a clip that was encoded before is not encoded again."""
        return self._kept is not None

    def share_outputs(self, root: Path) -> None:
        """Keep what a backbone that is not trained gives in files, too, for other trainings.

        Args:
            root: of a folder for each backbone, named by the hash of its config and weights.
        """
        if self.trained:
            return
        found = hashlib.sha256(self.backbone.config.to_json_string(use_diff=False).encode())
        for name, weight in sorted(self.backbone.state_dict().items()):
            found.update(name.encode())
            found.update(weight.detach().cpu().contiguous().numpy().tobytes())
        self._shared = root / f"{AUDIO}-frames-{found.hexdigest()[:HASH_DIGITS]}"

    def freeze_first_layers(self, *, frozen: bool) -> None:
        """Freeze the convolutions, or unfreeze them, also after an earlier training."""
        if self.trained:
            self.backbone.freeze_first_layers(frozen=frozen)
