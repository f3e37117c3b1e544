"""The LSTM for scoring on a CPU: weights are packed once, clips are dropped where they end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from emi_model.engine.packed_linear import Product, packed

PACKED_STEPS = 16
"""Time steps whose input products are computed at once and stay in the processor's caches."""


@dataclass(frozen=True)
class _Layer:
    """One layer.

    The cell gate's weights are doubled: as tanh(x) = 2 sigmoid(2 x) - 1, one sigmoid computes all
    four gates; in PyTorch it is several times as fast as tanh.
    """

    from_input: Product
    from_state: Product
    dtype: torch.dtype
    size: int


class PackedLstm:
    """A batch-first `nn.LSTM` on a CPU that returns its last states only.

    Gates, cells and states are float32 whatever the type of the products.

    `nn.LSTM` reads unpacked recurrent weights at every step; with weights packed for oneDNN a step
    takes less than half the time (RESULTS.md).
    """

    def __init__(self, lstm: nn.LSTM, dtype: torch.dtype = torch.float32) -> None:
        """Pack the weights; later changes to them have no effect.

        Args:
            lstm: one direction, with biases, without a projection.
            dtype: of the products.
        """
        self._size = lstm.hidden_size
        self._layers = [_layer(lstm, number, dtype) for number in range(lstm.num_layers)]

    def __call__(self, features: Tensor, num_frames: Sequence[int]) -> Tensor:
        """Return the top layer's state (B, size) at each clip's last frame.

        Args:
            features: float32 (sum of F, size), clips end to end.
            num_frames: of each clip, one or more.
        """
        order = sorted(range(len(num_frames)), key=lambda clip: -num_frames[clip])
        frames = torch.tensor([num_frames[clip] for clip in order])
        ends = torch.tensor(num_frames).cumsum(0)[order]
        firsts = ends - frames
        states = [
            (features.new_zeros(len(order), self._size), features.new_zeros(len(order), self._size))
            for _ in self._layers
        ]
        for start in range(0, int(frames[0]), PACKED_STEPS):
            # for each step, the clips that have not ended: the longest come first
            times = torch.arange(start, min(start + PACKED_STEPS, int(frames[0])))
            active = (frames[None] > times[:, None]).sum(1).tolist()
            rows = [firsts[:count] + time for count, time in zip(active, times, strict=True)]
            values = features[torch.cat(rows)]
            for layer, (state, cell) in zip(self._layers, states, strict=True):
                values = _run(layer, values, active, state, cell)
        last = torch.empty_like(states[-1][0])
        last[order] = states[-1][0]
        return last


def _layer(lstm: nn.LSTM, number: int, dtype: torch.dtype) -> _Layer:
    def gates(name: str) -> Tensor:
        i, f, g, o = getattr(lstm, f"{name}_l{number}").detach().chunk(4)
        return torch.cat([i, f, 2 * g, o])

    bias = gates("bias_ih") + gates("bias_hh")
    return _Layer(
        packed(gates("weight_ih").to(dtype), bias.to(dtype)),
        packed(gates("weight_hh").to(dtype), torch.zeros_like(bias, dtype=dtype)),
        dtype,
        lstm.hidden_size,
    )


def _run(
    layer: _Layer, values: Tensor, active: Sequence[int], state: Tensor, cell: Tensor
) -> Tensor:
    """Compute some steps, changing state and cell (B, size); return the states after each.

    Args:
        layer: the layer.
        values: inputs of the steps one after the other, a row for each active clip.
        active: number of clips in each step.
        state: of all clips.
        cell: of all clips.
    """
    after = values.new_empty(len(values), layer.size)
    begin = 0
    from_inputs = layer.from_input(values.to(layer.dtype)).float()
    for inputs in torch.split(from_inputs, list(active)):
        count = len(inputs)
        from_state = layer.from_state(state[:count].to(layer.dtype)).float()
        i, f, g, o = from_state.add_(inputs).sigmoid_().chunk(4, 1)
        own = cell[:count]
        own.mul_(f).addcmul_(i, g, value=2).sub_(i)  # i (2 g - 1)
        squashed = torch.sigmoid(own + own).mul_(2).sub_(1)
        torch.mul(squashed, o, out=state[:count])
        after[begin : begin + count] = state[:count]
        begin += count
    return after
