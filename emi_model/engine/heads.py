"""The heads for scoring: VAD, means, LSTM and fusion of clips laid end to end.

They are float32, except the products of the frames' VAD and of the LSTM: on a CPU these have the
type of the backbone's products, on a GPU float16.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional

from emi_model.architecture.audio_branch import VadHead
from emi_model.architecture.fusions.paper import PaperFusion
from emi_model.architecture.model import EmiModel, EmiOutput
from emi_model.engine.graphed_lstm import GraphedLstm
from emi_model.engine.layers import Linear, whole_numbers
from emi_model.engine.packed_linear import Product
from emi_model.engine.packed_lstm import PackedLstm

VAD_CHUNK_ROWS = 4_096
"""Frames that pass the VAD head at once."""


class RaggedHeads:
    """A model's heads for hidden states without padding; returns what `EmiModel` returns."""

    def __init__(self, model: EmiModel, dtype: torch.dtype) -> None:
        """Use a model in evaluation mode, on its device; it must not change any more.

        Args:
            model: with audio alone.
            dtype: of the backbone's products.
        """
        self._vad_head: VadHead | None = model.audio.vad_head
        self._frame_vad = None if self._vad_head is None else _frame_vad(self._vad_head, dtype)
        fusion = model.fusion
        assert fusion is None or isinstance(fusion, PaperFusion), "others are not for the engine"
        self._fusion: PaperFusion | None = fusion
        lstm = fusion.lstm if fusion is not None else None
        self._last_state: PackedLstm | GraphedLstm | None = None
        if lstm is not None:
            on_gpu = lstm.weight_ih_l0.device.type == "cuda"
            self._last_state = GraphedLstm(lstm) if on_gpu else PackedLstm(lstm, dtype)

    def __call__(self, hidden: Tensor, num_frames: Sequence[int]) -> EmiOutput:
        """Score B clips.

        Args:
            hidden: float32 (sum of F, hidden), clips end to end.
            num_frames: of each clip, one or more.
        """
        features, frame_vad, vad_mean, vad_of_mean = hidden, None, None, None
        if self._vad_head is not None and self._frame_vad is not None:
            chunks = torch.split(hidden, VAD_CHUNK_ROWS)
            rows = torch.cat([self._frame_vad(chunk) for chunk in chunks])
            frame_vad = padded(rows, num_frames)
            vad_mean = _means(rows, num_frames)
            vad_of_mean = self._vad_head(_means(hidden, num_frames))
            features = torch.cat([hidden, rows], dim=-1)
        global_vector = _means(features, num_frames)
        emi = None
        if self._fusion is not None:
            vectors = [global_vector] if self._fusion.uses_global_vector else []
            if self._last_state is not None:
                vectors.append(self._last_state(features, num_frames))
            emi = self._fusion.fuse(vectors)
        frames = torch.tensor(num_frames)
        return EmiOutput(emi, vad_mean, vad_of_mean, frame_vad, global_vector, frames)


def _frame_vad(head: VadHead, dtype: torch.dtype) -> Product:
    """Return the VAD head for frames (N, hidden), its large product in a lower type."""
    on_gpu = head.dense.weight.device.type != "cpu"
    dense = Linear.of(head.dense, torch.float16 if on_gpu else dtype)
    out = head.out_proj

    def vad(hidden: Tensor) -> Tensor:
        return functional.linear(torch.tanh(dense(hidden)).float(), out.weight, out.bias)

    return vad


def padded(values: Tensor, num_frames: Sequence[int]) -> Tensor:
    """Return (B, F, D), zero after a clip's end, of values (sum of F, D)."""
    longest = max(num_frames)
    before = [0, *accumulate(longest - frames for frames in num_frames[:-1])]
    shifts = torch.repeat_interleave(
        whole_numbers(before, values.device),
        whole_numbers(num_frames, values.device),
        output_size=len(values),
    )
    padded = values.new_zeros(len(num_frames) * longest, values.shape[1])
    padded[torch.arange(len(values), device=values.device) + shifts] = values
    return padded.view(len(num_frames), longest, -1)


def _means(values: Tensor, num_frames: Sequence[int]) -> Tensor:
    """Return the mean (B, D) over each clip's frames of values (sum of F, D)."""
    if values.device.type == "cpu":
        return torch.stack([clip.mean(0) for clip in torch.split(values, list(num_frames))])
    lengths = whole_numbers(num_frames, values.device)
    return torch.segment_reduce(values, "mean", lengths=lengths, unsafe=True)
