"""The LSTM in stretches of steps gives the LSTM's last states: all but the recording, on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch

from emi_model.architecture.fusions.fusion import last_state
from emi_model.engine import graphed_lstm
from emi_model.engine.graphed_lstm import GraphedLstm


def unrecorded(
    steps: Callable[[], torch.Tensor],
) -> tuple[Callable[[], None], torch.Tensor]:
    result = steps()

    def run() -> None:
        result.copy_(steps())

    return run, result


def plain_cell(
    from_input: torch.Tensor, from_state: torch.Tensor, cell: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    i, f, g, o = (from_input + from_state).chunk(4, 1)
    after = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return o.sigmoid() * after.tanh(), after


@pytest.fixture
def plain_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps as they are recorded, on a CPU, for few clips."""
    monkeypatch.setattr(graphed_lstm, "recorder", lambda: unrecorded)
    monkeypatch.setattr(graphed_lstm, "fused_cell", plain_cell)
    monkeypatch.setattr(graphed_lstm, "STEPS", 5)
    monkeypatch.setattr(graphed_lstm, "WIDTHS", (1, 3, 4))


@torch.inference_mode()
@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("num_frames", [[1], [5, 4], [13, 2, 16, 1, 5, 30, 6, 5, 9, 11]])
@pytest.mark.usefixtures("plain_steps")
def test_last_states_of_recorded_steps_are_those_of_the_lstm(
    size: int, num_frames: Sequence[int]
) -> None:
    lstm = torch.nn.LSTM(size, size, 2, batch_first=True)
    graphed = GraphedLstm(lstm, torch.float32)
    for _ in range(2):
        clips = [torch.randn(frames, size) for frames in num_frames]
        padded = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
        wanted = last_state(lstm, padded, torch.tensor(num_frames))
        assert torch.allclose(graphed(torch.cat(clips), num_frames), wanted, atol=1e-6)
