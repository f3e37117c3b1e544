"""The LSTM for scoring on a GPU: stretches of steps recorded once as CUDA graphs.

A step is two small kernels a layer; to start them one by one takes longer than to run them, and
cuDNN's take twice as long (RESULTS.md). Clips stand side by side, the longest first, and begin
together; where one has ended, its row goes on with zeros until a stretch needs fewer rows.

Products take float16, which has as many digits as the TF32 that cuDNN takes, and sum in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from emi_model.engine.layers import whole_numbers

STEPS = 32
"""Of a stretch."""

WIDTHS = (16, 64, 128, 256, 512)
"""Clips side by side in the graphs; between two of them rows are computed and left."""

ALIGNMENT = 8
"""A GPU multiplies matrices of other sizes at half the speed; states beyond the size stay zero."""

Recorder = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]
"""Records steps; gives what takes them again, and where their result then lies."""


@dataclass(frozen=True)
class _Layer:
    """One layer, its size aligned: weights (in, 4 x size), (size, 4 x size), bias (4 x size,)."""

    from_input: Tensor
    from_state: Tensor
    bias: Tensor


class _Stretch:
    """Some steps of all layers, for one number of clips.

    Attributes:
        inputs: (STEPS x clips, size), to be filled.
        states: hidden state and cell (clips, size) of each layer, moved on by `run`.
        outputs: (STEPS, clips, size), the top layer's states behind each step.
        run: takes the steps.
    """

    def __init__(
        self,
        layers: Sequence[_Layer],
        inputs: Tensor,
        states: Sequence[tuple[Tensor, Tensor]],
        record: Recorder,
    ) -> None:
        self.inputs = inputs
        self.states = states
        self._layers = layers
        self.run, self.outputs = record(self._steps)

    def _steps(self) -> Tensor:
        values = self.inputs
        for layer, (hidden, cell) in zip(self._layers, self.states, strict=True):
            inputs = torch.addmm(layer.bias, values, layer.from_input)
            after, cells = [hidden], cell
            for own in inputs.view(STEPS, len(hidden), -1).unbind():
                moved, cells = fused_cell(own, after[-1] @ layer.from_state, cells)
                after.append(moved)
            hidden.copy_(after[-1])
            cell.copy_(cells)
            values = torch.cat(after[1:])
        return values.view(STEPS, -1, values.shape[1])


def recorder() -> Recorder:
    """Return what records steps for the current GPU; what they need in between they share."""
    pool = torch.cuda.graph_pool_handle()

    def recorded(steps: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            steps()  # libraries make themselves ready
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            result = steps()
        return graph.replay, result

    return recorded


def fused_cell(from_input: Tensor, from_state: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return hidden state and cell (B, size) behind a step, from both products (B, 4 x size)."""
    hidden, after, _ = torch.ops.aten._thnn_fused_lstm_cell(from_input, from_state, cell)
    return hidden, after


class GraphedLstm:
    """A batch-first `nn.LSTM` on a GPU, for its last states alone; not for two threads at once."""

    def __init__(self, lstm: nn.LSTM, dtype: torch.dtype = torch.float16) -> None:
        """Take over the weights and record the graphs; later changes to them are not seen.

        Args:
            lstm: one direction, with biases, without a projection, its input as wide as its state.
            dtype: of factors and states.
        """
        self._size, self._dtype = lstm.hidden_size, dtype
        self._wide = -(-self._size // ALIGNMENT) * ALIGNMENT
        self._layers = [self._layer(lstm, number) for number in range(lstm.num_layers)]
        weight = next(lstm.parameters()).detach()
        inputs = weight.new_zeros(STEPS * WIDTHS[-1], self._wide, dtype=dtype)
        zeros = weight.new_zeros(lstm.num_layers, 2, WIDTHS[-1], self._wide, dtype=dtype)
        self._states = zeros
        with torch.inference_mode(), _current(weight.device):
            record = recorder()
            largest_first = [
                _Stretch(
                    self._layers,
                    inputs[: STEPS * width],
                    [(hidden[:width], cell[:width]) for hidden, cell in zeros],
                    record,
                )
                for width in reversed(WIDTHS)
            ]
        self._stretches = largest_first[::-1]

    def __call__(self, features: Tensor, num_frames: Sequence[int]) -> Tensor:
        """Return the top layer's state (B, size) at each clip's last frame.

        Args:
            features: float32 (sum of F, size), clips end to end.
            num_frames: of each clip, one or more.
        """
        order = sorted(range(len(num_frames)), key=lambda clip: -num_frames[clip])
        firsts = whole_numbers(num_frames, features.device).cumsum(0)
        aligned = functional.pad(features.to(self._dtype), (0, self._wide - self._size, 0, 1))
        last = features.new_empty(len(num_frames), self._size)
        for start in range(0, len(order), WIDTHS[-1]):
            clips = order[start : start + WIDTHS[-1]]
            places = whole_numbers(clips, features.device)
            frames = [num_frames[clip] for clip in clips]
            last[places] = self._run(aligned, frames, firsts[places])
        return last

    def _run(self, aligned: Tensor, frames: Sequence[int], ends: Tensor) -> Tensor:
        """Return the last states of some clips, the longest first.

        Args:
            aligned: (N + 1, aligned size), the last row zero.
            frames: of each clip.
            ends: of each clip, the row behind its last frame.
        """
        device = aligned.device
        lengths = whole_numbers(frames, device)
        firsts, steps = ends - lengths, torch.arange(STEPS, device=device)
        last = torch.empty(len(frames), self._size, dtype=torch.float32, device=device)
        self._states.zero_()
        active = len(frames)
        for start in range(0, frames[0], STEPS):
            stretch = next(each for each in self._stretches if each.outputs.shape[1] >= active)
            times = start + steps[:, None]
            rows = torch.where(times < lengths[:active], firsts[:active] + times, len(aligned) - 1)
            idle = stretch.outputs.shape[1] - active
            rows = functional.pad(rows, (0, idle), value=len(aligned) - 1)
            torch.index_select(aligned, 0, rows.flatten(), out=stretch.inputs)
            stretch.run()
            left = sum(length > start + STEPS for length in frames[:active])
            ending = torch.arange(left, active, device=device)
            found = stretch.outputs[lengths[left:active] - 1 - start, ending]
            last[left:active] = found[:, : self._size]
            active = left
        return last

    def _layer(self, lstm: nn.LSTM, number: int) -> _Layer:
        more = self._wide - self._size

        def aligned(name: str, *columns: int) -> Tensor:
            values = getattr(lstm, f"{name}_l{number}").detach()
            gates = functional.pad(
                values.reshape(4, self._size, *values.shape[1:]), (*columns, 0, more)
            )
            return gates.flatten(0, 1)

        return _Layer(
            aligned("weight_ih", 0, more).T.to(self._dtype).contiguous(),
            aligned("weight_hh", 0, more).T.to(self._dtype).contiguous(),
            (aligned("bias_ih") + aligned("bias_hh")).to(self._dtype),
        )


def _current(device: torch.device) -> AbstractContextManager[object]:
    """Make a GPU the current one."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
