"""The heads for scoring: VAD, means, LSTM and fusion of clips laid end to end, in float32."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from emi_model.architecture.fusion import Fusion, VadHead, last_state
from emi_model.architecture.model import EmiModel, EmiOutput
from emi_model.engine.packed_lstm import PackedLstm

VAD_CHUNK_ROWS = 4_096
"""Frames that pass the VAD head at once."""


class RaggedHeads:
    """A model's heads on hidden states without padding; gives what `EmiModel.heads` gives."""

    def __init__(self, model: EmiModel) -> None:
        """Take a model in evaluation mode, on its device; it must not change any more."""
        self._vad_head: VadHead | None = model.vad_head
        self._fusion: Fusion | None = model.fusion
        lstm = model.fusion.lstm if model.fusion is not None else None
        on_cpu = lstm is not None and lstm.weight_ih_l0.device.type == "cpu"
        self._packed = PackedLstm(lstm) if lstm is not None and on_cpu else None

    def __call__(self, hidden: Tensor, num_frames: Sequence[int]) -> EmiOutput:
        """Score B clips.

        Args:
            hidden: float32 (sum of F, hidden), clips end to end.
            num_frames: of each clip, one or more.
        """
        features, frame_vad, vad_mean, vad_of_mean = hidden, None, None, None
        if self._vad_head is not None:
            rows = torch.cat([self._vad_head(rows) for rows in torch.split(hidden, VAD_CHUNK_ROWS)])
            frame_vad = pad_sequence(list(torch.split(rows, list(num_frames))), batch_first=True)
            vad_mean = _means(rows, num_frames)
            vad_of_mean = self._vad_head(_means(hidden, num_frames))
            features = torch.cat([hidden, rows], dim=-1)
        global_vector = _means(features, num_frames)
        emi = None
        if self._fusion is not None:
            state = self._last_state(self._fusion, features, num_frames)
            emi = self._fusion.fuse(global_vector, state)
        frames = torch.tensor(num_frames)
        return EmiOutput(emi, vad_mean, vad_of_mean, frame_vad, global_vector, frames)

    def _last_state(
        self, fusion: Fusion, features: Tensor, num_frames: Sequence[int]
    ) -> Tensor | None:
        if fusion.lstm is None:
            return None
        if self._packed is not None:
            return self._packed(features, num_frames)
        padded = pad_sequence(list(torch.split(features, list(num_frames))), batch_first=True)
        return last_state(fusion.lstm, padded, torch.tensor(num_frames))


def _means(values: Tensor, num_frames: Sequence[int]) -> Tensor:
    return torch.stack([clip.mean(0) for clip in torch.split(values, list(num_frames))])
