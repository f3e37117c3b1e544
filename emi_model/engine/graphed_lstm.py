"""The LSTM for scoring on a GPU: stretches of steps recorded once as CUDA graphs.

A step is two small kernels a layer; starting them one by one takes longer than running them, and
cuDNN's take twice as long (RESULTS.md). A row is a clip, the longest first, and all begin at the
same step; after a clip's end its row gets zeros until a stretch needs fewer rows.

Products are in float16, which has as many digits as cuDNN's TF32, and are summed in float32.
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
"""Time steps of a stretch."""

WIDTHS = (16, 64, 128, 256, 512)
"""Numbers of clips for which graphs are recorded; rows beyond the clips are dropped."""

ALIGNMENT = 8
"""Sizes are padded to its multiples, with zeros: a GPU multiplies others at half the speed."""

Recorder = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]
"""Records steps; returns a function that repeats them, and the tensor with their result."""


@dataclass(frozen=True)
class _Layer:
    """One layer, its size aligned: weights (in, 4 x size), (size, 4 x size), bias (4 x size,)."""

    from_input: Tensor
    from_state: Tensor
    bias: Tensor


class _Stretch:
    """Some steps of all layers, for one number of clips.

    Attributes:
        inputs: (STEPS x clips, size), filled by the caller.
        states: hidden state and cell (clips, size) of each layer, updated by `run`.
        outputs: (STEPS, clips, size), the top layer's states after each step.
        run: computes the steps.
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
    """Return a recorder for the current GPU, whose recordings share temporary memory."""
    pool = torch.cuda.graph_pool_handle()

    def recorded(steps: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            steps()  # so that libraries initialise themselves
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            result = steps()
        return graph.replay, result

    return recorded


def fused_cell(from_input: Tensor, from_state: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return hidden state and cell (B, size) after a step, from both products (B, 4 x size)."""
    hidden, after, _ = torch.ops.aten._thnn_fused_lstm_cell(from_input, from_state, cell)
    return hidden, after


class GraphedLstm:
    """A batch-first `nn.LSTM` on a GPU that returns its last states only; not thread-safe."""

    def __init__(self, lstm: nn.LSTM, dtype: torch.dtype = torch.float16) -> None:
        """Convert the weights and record the graphs; the weights must not change any more.

        Args:
            lstm: one direction, with biases, without a projection, its input as wide as its state.
            dtype: of weights and states.
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
            ends: of each clip, the row after its last frame.
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
    """Return a context in which a GPU is the current one."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
