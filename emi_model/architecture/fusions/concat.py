"""``concat``: last states and text vectors, concatenated (Hallmen et al., arXiv 2504.11460)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

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
from emi_model.architecture.fusions.registry import register_fusion
from emi_model.errors import ConfigError
from emi_model.modalities import AUDIO

FIRST = (AUDIO, "vision", "text")
"""The order of concatenation; other modalities follow in the config's order."""


@register_fusion("concat")
class ConcatFusion(Fusion):
    """Last LSTM states of sequences, vectors of the rest, Linear, tanh, Linear.

    No mean over frames takes part, as it does in the paper of 2024. The config's ``lstm_layers``
    counts; its other switches do not. Arguments:

    - ``hidden_size``: width between the two linear layers; default: that of the audio features,
      without audio of the first modality's; 0: one linear layer alone, a linear probe.
    - ``lstm_sizes``: width of an LSTM's state by modality; default: that of the features.

    A learnt token takes the place of a modality that a clip lacks.
    """

    usual: ClassVar[Mapping[str, Any]] = {"hidden_size": None, "lstm_sizes": {}}

    def __init__(self, config: EmiConfig, branches: Mapping[str, Fused]) -> None:
        """Build the layers with fresh weights.

        Raises:
            ConfigError: unknown arguments, or a width for a modality without an LSTM.
        """
        super().__init__(config)
        arguments = fusion_arguments(config, self.usual)
        first = [name for name in FIRST if name in branches]
        self._order = (*first, *(name for name in branches if name not in first))
        widths = {name: branches[name].feature_size for name in self._order}
        sequences = [name for name in self._order if branches[name].is_sequential]
        sizes = {name: widths[name] for name in sequences} | dict(arguments["lstm_sizes"])
        if unknown := sorted(sizes.keys() - set(sequences)):
            raise ConfigError(f"fusion.lstm_sizes names {unknown}, expected some of {sequences}")
        self.lstms = nn.ModuleDict(
            {
                name: nn.LSTM(widths[name], size, config.lstm_layers, batch_first=True)
                for name, size in sizes.items()
            }
        )
        hidden_size = arguments["hidden_size"]
        if hidden_size is None:
            hidden_size = widths[self._order[0]]
        widths |= sizes
        self.stand_ins = nn.ParameterDict(
            {
                name: missing_token(widths[name])
                for name in self._order
                if name not in config.required
            }
        )
        width = sum(widths.values())
        hidden = [nn.Linear(width, hidden_size), nn.Tanh()] if hidden_size else []
        last = nn.Linear(hidden_size or width, config.num_targets)
        self.layers = nn.Sequential(*hidden, last)

    def forward(self, outputs: Mapping[str, BranchOutput], num_clips: int) -> Tensor:
        """Return (num_clips, targets) from the branches' outputs; see `Fusion`."""
        read = [self._read(name, outputs.get(name), num_clips) for name in self._order]
        return self.activated(self.layers(torch.cat(read, dim=-1)))

    def _read(self, name: str, output: BranchOutput | None, num_clips: int) -> Tensor:
        found, rows = None, None
        if output is not None:
            lstm = dict(self.lstms.items()).get(name)
            rows = output.rows
            found = output.clip_vector()
            if isinstance(lstm, nn.LSTM):
                found = last_state(lstm, output.features, output.num_frames)
            if rows is None:
                return found
        return filled(self.stand_ins[name], found, rows, num_clips)
