"""``paper``: vectors and last states, concatenated (Hallmen et al., arXiv 2403.11879)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from emi_model.architecture.branch import BranchOutput
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import (
    Fused,
    Fusion,
    filled,
    fusion_arguments,
    last_state,
    missing_token,
)
from emi_model.architecture.fusions.registry import PAPER, register_fusion
from emi_model.modalities import AUDIO


@register_fusion(PAPER)
class PaperFusion(Fusion):
    """Fuses each branch's vector and its LSTM's last state into one output a target.

    Where a clip lacks an optional modality, a learnt token takes the place of both.
    """

    def __init__(self, config: EmiConfig, branches: Mapping[str, Fused]) -> None:
        """Build the parts that the config switches on for these branches.

        The audio branch's LSTM is named ``lstm``, as in every checkpoint; others are in ``lstms``.
        """
        super().__init__(config)
        fusion_arguments(config, self.usual)
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
        """Return (num_clips, targets) from the branches' outputs; see `Fusion`."""
        return self.fuse(
            [self._read(name, outputs.get(name), num_clips) for name in self._branches]
        )

    def fuse(self, vectors: Sequence[Tensor]) -> Tensor:
        """Return (B, targets) from vectors (B, ...), which are concatenated."""
        return self.activated(self.layers(torch.cat(list(vectors), dim=-1)))

    def _read(self, name: str, output: BranchOutput | None, num_clips: int) -> Tensor:
        if output is None:
            return filled(self.stand_ins[name], None, None, num_clips)
        parts = [output.clip_vector()] if self._takes_vector(name) else []
        lstm = self._lstm(name)
        if lstm is not None:
            parts.append(last_state(lstm, output.features, output.num_frames))
        read = torch.cat(parts, dim=-1)
        if output.rows is None:
            return read
        return filled(self.stand_ins[name], read, output.rows, num_clips)

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
