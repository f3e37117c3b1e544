"""One vector a clip and modality, from its frames: by an LSTM, their mean, or attention."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from emi_model.architecture.branch import BranchOutput, frame_mask
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused, filled, last_state, missing_token
from emi_model.errors import ConfigError

LAST_STATE, FRAME_MEAN, ATTENDED = "state", "mean", "attention"

READINGS = (LAST_STATE, FRAME_MEAN, ATTENDED)
"""How a sequence becomes a vector: an LSTM's last state, as in ``concat``; the mean of its frames,
or the branch's own vector; the sum of its frames, weighted by attention."""


class AttentionPooling(nn.Module):
    """The sum of a clip's frames, weighted by the softmax of one linear score a frame.

    The score needs no bias: a softmax over frames does not change with it.
    """

    def __init__(self, size: int) -> None:
        """Build the score of frames of ``size`` entries."""
        super().__init__()
        self.score = nn.Linear(size, 1, bias=False)

    def forward(self, frames: Tensor, num_frames: Tensor) -> Tensor:
        """Return (B, D) of frames (B, F, D), of which each clip has its number, one or more."""
        mask = frame_mask(num_frames, frames.shape[1])[..., None]
        frames = torch.where(mask, frames, torch.zeros_like(frames))
        shares = self.score(frames).masked_fill(~mask, -torch.inf).softmax(dim=1)
        pooled: Tensor = (shares * frames).sum(dim=1)
        return pooled


class ClipVectors(nn.Module):
    """A vector of each modality; where a clip lacks an optional one, a learnt token of its width.

    Attributes:
        widths: of each modality's vector, that of its features, in the config's order.
    """

    def __init__(self, config: EmiConfig, branches: Mapping[str, Fused], reading: str) -> None:
        """Build what reads the sequences, one of `READINGS`, with fresh weights.

        Raises:
            ConfigError: another reading.
        """
        super().__init__()
        if reading not in READINGS:
            raise ConfigError(f"fusion.reading is {reading!r}, expected one of {list(READINGS)}")
        self.widths = {name: branch.feature_size for name, branch in branches.items()}
        sequences = {name: self.widths[name] for name in branches if branches[name].is_sequential}
        self.lstms = nn.ModuleDict()
        self.poolings = nn.ModuleDict()
        for name, width in sequences.items():
            if reading == LAST_STATE:
                self.lstms[name] = nn.LSTM(width, width, config.lstm_layers, batch_first=True)
            elif reading == ATTENDED:
                self.poolings[name] = AttentionPooling(width)
        self.stand_ins = nn.ParameterDict(
            {
                name: missing_token(self.widths[name])
                for name in branches
                if name not in config.required
            }
        )

    def forward(self, outputs: Mapping[str, BranchOutput], num_clips: int) -> list[Tensor]:
        """Return (num_clips, D) of each modality, from the branches' outputs; see `Fusion`."""
        return [self._read(name, outputs.get(name), num_clips) for name in self.widths]

    def _read(self, name: str, output: BranchOutput | None, num_clips: int) -> Tensor:
        if output is None:
            return filled(self.stand_ins[name], None, None, num_clips)
        found = self._vector(name, output)
        if output.rows is None:
            return found
        return filled(self.stand_ins[name], found, output.rows, num_clips)

    def _vector(self, name: str, output: BranchOutput) -> Tensor:
        lstm = dict(self.lstms.items()).get(name)
        if isinstance(lstm, nn.LSTM):
            return last_state(lstm, output.features, output.num_frames)
        if name in self.poolings:
            found: Tensor = self.poolings[name](output.features, output.num_frames)
            return found
        return output.clip_vector()
