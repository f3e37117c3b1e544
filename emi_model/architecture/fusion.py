"""From the branches' outputs to scores: vectors, LSTMs, fusion (Hallmen et al. 2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from emi_model.architecture.branch import BranchOutput
from emi_model.architecture.config import EmiConfig
from emi_model.modalities import AUDIO

MISSING_DEVIATION = 0.02
"""Standard deviation of a missing modality's token before training."""


class Fused(NamedTuple):
    """The properties of a branch that the fusion depends on.

    Attributes:
        feature_size: width of its features and of its vector.
        is_sequential: an LSTM reads its frames.
    """

    feature_size: int
    is_sequential: bool = True


class Fusion(nn.Module):
    """Fuses each branch's vector and its LSTM's last state into one output a target.

    Where a clip lacks an optional modality, a learnt token takes the place of both.
    """

    def __init__(self, config: EmiConfig, branches: Mapping[str, Fused]) -> None:
        """Build the parts that the config switches on for these branches.

        The audio branch's LSTM is named ``lstm``, as in every checkpoint; others are in ``lstms``.
        """
        super().__init__()
        self.uses_global_vector = config.global_vector
        self._branches = dict(branches)
        lstms = {
            name: nn.LSTM(size, size, config.lstm_layers, batch_first=True)
            for name, (size, is_sequential) in branches.items()
            if config.lstm and is_sequential
        }
        self.lstm: nn.LSTM | None = lstms.pop(AUDIO, None)
        self.lstms = nn.ModuleDict(lstms)
        optional = [name for name in branches if name not in config.required]
        self.stand_ins = nn.ParameterDict(
            {name: missing_token(self._width(name)) for name in optional}
        )
        width = sum(map(self._width, branches))
        last = nn.Linear(width, config.num_targets)
        self.layers = nn.Sequential(
            *([nn.Linear(width, width), nn.Tanh()] if config.regression_head else []), last
        )

    def forward(self, outputs: Mapping[str, BranchOutput], num_clips: int) -> Tensor:
        """Return (num_clips, targets), unbounded, from the branches' outputs.

        Args:
            outputs: by modality; a modality that no clip has is left out.
            num_clips: clips of the batch.
        """
        return self.fuse(
            [self._read(name, outputs.get(name), num_clips) for name in self._branches]
        )

    def fuse(self, vectors: Sequence[Tensor]) -> Tensor:
        """Return (B, targets), unbounded, from vectors (B, ...), which are concatenated."""
        emi: Tensor = self.layers(torch.cat(list(vectors), dim=-1))
        return emi

    def _read(self, name: str, output: BranchOutput | None, num_clips: int) -> Tensor:
        if output is None:
            return self._stand_ins(name, num_clips)
        parts = [output.clip_vector()] if self._takes_vector(name) else []
        lstm = self._lstm(name)
        if lstm is not None:
            parts.append(last_state(lstm, output.features, output.num_frames))
        read = torch.cat(parts, dim=-1)
        if output.rows is None:
            return read
        return self._stand_ins(name, num_clips).index_copy(0, output.rows, read)

    def _stand_ins(self, name: str, num_clips: int) -> Tensor:
        stand_in: Tensor = self.stand_ins[name]
        return stand_in.repeat(num_clips, 1)

    def _lstm(self, name: str) -> nn.LSTM | None:
        if name == AUDIO:
            return self.lstm
        found = dict(self.lstms.items()).get(name)
        assert found is None or isinstance(found, nn.LSTM)
        return found

    def _takes_vector(self, name: str) -> bool:
        return self.uses_global_vector or not self._branches[name].is_sequential

    def _width(self, name: str) -> int:
        times = int(self._takes_vector(name)) + int(self._lstm(name) is not None)
        return self._branches[name].feature_size * times


def missing_token(*shape: int) -> nn.Parameter:
    """Return a token to learn, which stands in for a modality that a clip lacks: N(0, 0.02^2)."""
    return nn.Parameter(torch.empty(shape).normal_(std=MISSING_DEVIATION))


def last_state(lstm: nn.LSTM, features: Tensor, num_frames: Tensor) -> Tensor:
    """Return the top layer's state (B, D) at each clip's last frame, of features (B, F, D)."""
    packed = pack_padded_sequence(
        features, num_frames.cpu(), batch_first=True, enforce_sorted=False
    )
    state: Tensor = lstm(packed)[1][0][-1]
    return state
