"""Models of several branches for scoring: their audio without padding, other branches as they are.

The heads are those of the model itself, in float32, since every fusion has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from emi_model.architecture.backbones.wav2vec2 import Wav2Vec2Backbone
from emi_model.architecture.branch import Branch, BranchOutput, ClipInputs
from emi_model.architecture.model import EmiModel, EmiOutput
from emi_model.arrays import Array
from emi_model.audio.batching import pad
from emi_model.devices import attention_of_any_shape
from emi_model.engine.backbone import Engine
from emi_model.engine.heads import padded
from emi_model.engine.model import hidden_states
from emi_model.modalities import AUDIO


class BranchedModel:
    """A model whose audio branch has its weights laid out for scoring, on one device."""

    def __init__(self, model: EmiModel, dtype: torch.dtype) -> None:
        """Convert the weights of the audio branch's backbone, which `fits` the engine.

        Args:
            model: on its device, in evaluation mode; it must not change any more.
            dtype: of the branches' matrix products.
        """
        self._model, self._dtype = model, None if dtype == torch.float32 else dtype
        self._device = next(model.parameters()).device
        backbone = model.audio.backbone
        assert isinstance(backbone, Wav2Vec2Backbone), "it fits"
        self._engine = Engine(backbone, dtype)

    def __call__(self, clips: Sequence[ClipInputs]) -> EmiOutput:
        """Score clips, each with all modalities that the model requires, and any of the others.

        Raises:
            AudioError: samples that are not finite.
        """
        outputs = {}
        with attention_of_any_shape(self._device.type):
            for name, branch in self._model.each_branch().items():
                rows = [row for row, clip in enumerate(clips) if name in clip]
                if not rows:
                    continue
                inputs = [clips[row][name] for row in rows]
                found = self._heard(inputs) if name == AUDIO else self._encoded(branch, inputs)
                if len(rows) < len(clips):
                    found = replace(found, rows=torch.tensor(rows, device=self._device))
                outputs[name] = found
            return self._model.fused(outputs, len(clips))

    def _heard(self, waveforms: Sequence[Array]) -> BranchOutput:
        hidden, frames, order = hidden_states(self._engine, waveforms, self._device)
        states = padded(hidden, frames)
        num_frames = torch.tensor(frames, device=self._device)
        if order != sorted(order):
            places = torch.tensor(order, device=self._device).argsort()
            states, num_frames = states[places], num_frames[places]
        return self._model.audio.heads(states, num_frames)

    def _encoded(self, branch: Branch, inputs: Sequence[Array]) -> BranchOutput:
        values, lengths = pad([branch.spec.prepare(values) for values in inputs])
        found: Any = branch(values.to(self._device), lengths.to(self._device), dtype=self._dtype)
        output: BranchOutput = found
        return output
