"""What every fusion takes and gives, and the parts that several of them share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from emi_model.architecture.branch import BranchOutput
from emi_model.architecture.config import SIGMOID, EmiConfig
from emi_model.errors import ConfigError

FUSION_NAME = "name"
"""The entry of ``EmiConfig.fusion`` that is no argument of the fusion, but its name."""

OFF_BY_ZERO = "hidden_size"
"""An argument of which 0 means that there is no hidden layer."""

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
    """The part of a model that turns its branches' outputs into one output a target.

    A subclass is built from the model's `EmiConfig` and its branches' properties by modality, in
    the config's order; its own arguments are in ``config.fusion``, see `fusion_arguments`. Register
    it with `emi_model.architecture.fusions.registry.register_fusion`.

    Attributes:
        usual: its arguments, each with its usual value, as `fusion_arguments` takes them.
    """

    usual: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, config: EmiConfig) -> None:
        """Take the config's output: unbounded, or between 0 and 1 by a sigmoid."""
        super().__init__()
        self.num_targets = config.num_targets
        self._is_bounded = config.output == SIGMOID

    def activated(self, emi: Tensor) -> Tensor:
        """Return outputs as the config wants them: as they are, or their sigmoid."""
        return torch.sigmoid(emi) if self._is_bounded else emi

    def forward(self, outputs: Mapping[str, BranchOutput], num_clips: int) -> Tensor:
        """Return (num_clips, targets); a clip's output does not depend on the batch.

        Args:
            outputs: by modality; a modality that no clip has is left out.
            num_clips: clips of the batch.
        """
        raise NotImplementedError


def fusion_arguments(config: EmiConfig, usual: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fusion's arguments: those in the config, else the usual ones.

    Args:
        config: of the model.
        usual: every argument with its usual value, of the type that is expected; None: a whole
            number, or left out.

    Whole numbers are sizes and counts: 1 or more, and `OFF_BY_ZERO` 0 or more.

    Raises:
        ConfigError: an argument that the fusion does not have, or one of another type or size.
    """
    given = {name: value for name, value in (config.fusion or {}).items() if name != FUSION_NAME}
    if unknown := sorted(given.keys() - usual.keys()):
        raise ConfigError(f"fusion has arguments {unknown}, expected some of {sorted(usual)}")
    for name, value in given.items():
        kind: Any = int if usual[name] is None else type(usual[name])
        kinds = (int, float) if kind is float else (kind, type(None)) if kind is int else kind
        if not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool):
            raise ConfigError(f"fusion.{name} is {value!r}, expected the like of {usual[name]!r}")
        _check_size(name, value, usual[name])
    return {**usual, **given}


def _check_size(name: str, value: Any, usual: Any) -> None:
    if name == "dropout" and not 0 <= value < 1:
        raise ConfigError(f"fusion.{name} is {value}, expected [0, 1)")
    counts = type(value) is int or (value is None and usual is not None)
    least = 0 if name == OFF_BY_ZERO else 1
    if counts and (value is None or value < least):
        raise ConfigError(f"fusion.{name} is {value}, expected {least} or more")


def last_state(lstm: nn.LSTM, features: Tensor, num_frames: Tensor) -> Tensor:
    """Return the top layer's state (B, D) at each clip's last frame, of features (B, F, D)."""
    packed = pack_padded_sequence(
        features, num_frames.cpu(), batch_first=True, enforce_sorted=False
    )
    state: Tensor = lstm(packed)[1][0][-1]
    return state


def filled(token: Tensor, values: Tensor | None, rows: Tensor | None, num_clips: int) -> Tensor:
    """Return values (num_clips, D) of a whole batch, a learnt token where a clip has none.

    Args:
        token: (D,), in the place of each clip that lacks the modality.
        values: (b, D), of the clips that have it; None: no clip does.
        rows: int64 (b,), indices of these clips; None: they are the whole batch.
        num_clips: clips of the batch.
    """
    if values is not None and rows is None:
        return values
    repeated = token.repeat(num_clips, 1)
    if values is None or rows is None:
        return repeated
    return repeated.index_copy(0, rows, values)


def missing_token(*shape: int) -> nn.Parameter:
    """Return a token to learn, which stands in for a modality that a clip lacks: N(0, 0.02^2)."""
    return nn.Parameter(torch.empty(shape).normal_(std=MISSING_DEVIATION))
