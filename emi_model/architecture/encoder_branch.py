"""A branch around one encoder from elsewhere, frozen or trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from emi_model.architecture.branch import Branch
from emi_model.arrays import Array, Floats
from emi_model.errors import ConfigError

TRAINED = "trained"
"""Argument of a branch with an encoder: whether training changes the encoder."""


class EncoderBranch(Branch):
    """A branch whose encoder was trained elsewhere, or is small and new.

    A frozen encoder is always in evaluation mode and gets no gradients. Its output for a clip,
    float32 (N, D), may stand for the clip's input: it is encoded once for many trainings.

    Attributes:
        trained: training changes the encoder.
        encoder: the encoder.
    """

    trained: bool
    encoder: nn.Module

    def __init__(self, modality: str, arguments: Mapping[str, Any], known: Sequence[str]) -> None:
        """Check the arguments' names and take those that every such branch has.

        Args:
            modality: for errors.
            arguments: of the branch.
            known: names of those that only this kind of branch has.

        Raises:
            ConfigError: an unknown argument, or an encoder that has not been loaded yet.
        """
        super().__init__()
        if unknown := sorted(arguments.keys() - {"encoder", TRAINED, "dropout", *known}):
            raise ConfigError(
                f"branch {modality!r} has {unknown}, expected some of "
                f"{sorted(['encoder', TRAINED, 'dropout', *known])}"
            )
        encoder = arguments.get("encoder")
        if not isinstance(encoder, Mapping):
            raise ConfigError(
                f"branch {modality!r}: encoder is {encoder!r}, expected its config: name a folder "
                f"or hub id with --{modality}-encoder when it is trained"
            )
        self.trained = bool(arguments.get(TRAINED, True))
        dropout = arguments.get("dropout", 0.0)
        if not isinstance(dropout, (int, float)) or not 0 <= dropout < 1:
            raise ConfigError(f"branch {modality!r}: dropout is {dropout!r}, expected [0, 1)")
        self.dropout = nn.Dropout(float(dropout))

    def train(self, mode: bool = True) -> EncoderBranch:
        """Set training mode, except of a frozen encoder; it also stops its gradients."""
        super().train(mode)
        if not self.trained:
            self.encoder.eval()
            self.encoder.requires_grad_(False)
        return self

    def gradients(self) -> Any:
        """Return the context that the encoder runs in."""
        return nullcontext() if self.trained else torch.no_grad()

    @property
    def settings(self) -> dict[str, Any]:
        """All but weights and files that decides the encoder's output for a clip, for its hash."""
        raise NotImplementedError

    def encode(self, clips: Sequence[Array]) -> list[Floats]:
        """Return the encoder's output (N, D) for each clip's input, which may stand for it.

        Args:
            clips: inputs as the extractor returned them.
        """
        raise NotImplementedError

    def encoder_sha256(self) -> str:
        """Return a hash (hex) of all that decides the encoder's output for a clip."""
        found = hashlib.sha256(json.dumps(self.settings, sort_keys=True, default=str).encode())
        for name, weight in sorted(self.encoder.state_dict().items()):
            found.update(name.encode())
            found.update(weight.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()


def is_encoded(values: Array | Tensor) -> bool:
    """Return whether an input is an encoder's output, float32 (N, D), in place of a raw input."""
    if isinstance(values, Tensor):
        return values.is_floating_point()
    return values.dtype.kind == "f"
