"""A model for scoring clips laid end to end: waveforms in, scores out, no padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from emi_model.architecture.backbones.wav2vec2 import Wav2Vec2Backbone
from emi_model.architecture.model import EmiModel, EmiOutput
from emi_model.audio.batching import plan_ragged
from emi_model.audio.waveform import (
    NORMALISATION_EPSILON,
    Int16Waveform,
    Waveform,
    as_float,
    normalise,
)
from emi_model.engine.backbone import Engine
from emi_model.engine.heads import RaggedHeads
from emi_model.engine.layers import whole_numbers
from emi_model.units import INT16_FULL_SCALE, SAMPLING_RATE

STREAM_SAMPLES = {"cpu": 32 * SAMPLING_RATE, "cuda": 512 * SAMPLING_RATE}
"""Samples that pass the backbone at once: enough for large matrix products, on a CPU few enough
for the caches. The heads get a whole batch: an LSTM's step costs the same for one clip and many."""


class RaggedModel:
    """A model whose weights are laid out for scoring in one type on one device."""

    def __init__(self, model: EmiModel, dtype: torch.dtype, *, int8: bool = False) -> None:
        """Convert the weights of a model with audio alone, whose backbone `fits` the engine.

        Args:
            model: on its device, in evaluation mode.
            dtype: of the matrix products; on a GPU, of the backbone's.
            int8: compute those of the encoder's linear layers in int8; only on a CPU.
        """
        self._device = next(model.parameters()).device
        backbone = model.audio.backbone
        assert isinstance(backbone, Wav2Vec2Backbone), "it fits"
        self._engine = Engine(backbone, dtype, int8=int8)
        self._heads = RaggedHeads(model, dtype)

    def __call__(self, waveforms: Sequence[Int16Waveform | Waveform]) -> EmiOutput:
        """Score waveforms (samples,), int16 or float32, 16 kHz mono, at least a frame long.

        Raises:
            AudioError: samples that are not finite.
        """
        hidden, num_frames, order = hidden_states(self._engine, waveforms, self._device)
        return _reordered(self._heads(hidden, num_frames), order)


def hidden_states(
    engine: Engine, waveforms: Sequence[Int16Waveform | Waveform], device: torch.device
) -> tuple[Tensor, list[int], list[int]]:
    """Return the hidden states of waveforms (samples,), end to end, the shortest clips first.

    Returns:
        Hidden states, float32 (sum of F, hidden); the frames of each clip; the places of these
        clips among the waveforms.

    Raises:
        AudioError: samples that are not finite.
    """
    lengths = [len(waveform) for waveform in waveforms]
    hidden, num_frames, order = [], list[int](), list[int]()
    for stream in plan_ragged(lengths, STREAM_SAMPLES[device.type]):
        clips = normalised([waveforms[index] for index in stream], device)
        hidden.append(engine(clips))
        num_frames += engine.num_frames(clips)
        order += stream
    return torch.cat(hidden), num_frames, order


def normalised(waveforms: Sequence[Int16Waveform | Waveform], device: torch.device) -> list[Tensor]:
    """Return waveforms as `emi_model.audio.waveform.normalise` does, float32, on a device.

    A GPU gets samples as int16 and normalises them.

    Raises:
        AudioError: samples that are not finite.
    """
    if device.type != "cpu" and all(waveform.dtype == np.int16 for waveform in waveforms):
        whole = [waveform.astype(np.int16, copy=False) for waveform in waveforms]
        return normalised_there(whole, device)
    floats = [normalise(as_float(waveform)) for waveform in waveforms]
    return [torch.from_numpy(waveform).to(device) for waveform in floats]


def normalised_there(waveforms: Sequence[Int16Waveform], device: torch.device) -> list[Tensor]:
    """Move int16 waveforms to a device and return them normalised by it.

    Sums of samples and of their squares are exact: they are integers.
    """
    num_samples = [len(waveform) for waveform in waveforms]
    # PyTorch reuses pinned memory; allocating it anew would take longer than the copy
    joined = torch.empty(sum(num_samples), dtype=torch.int16, pin_memory=device.type == "cuda")
    np.concatenate(waveforms, out=joined.numpy())
    samples = joined.to(device, non_blocking=True).long()
    lengths = whole_numbers(num_samples, device)
    ends = lengths.cumsum(0)

    def mean(values: Tensor) -> Tensor:
        sums = values.cumsum(0)[ends - 1]
        return torch.diff(sums, prepend=sums.new_zeros(1)).double() / lengths

    means = mean(samples)
    variances = (mean(samples * samples) - means * means) / INT16_FULL_SCALE**2
    scales = (variances + NORMALISATION_EPSILON).rsqrt() / INT16_FULL_SCALE
    each = torch.repeat_interleave(
        torch.stack([means, scales]), lengths, dim=1, output_size=len(samples)
    )
    return list(torch.split(((samples - each[0]) * each[1]).float(), num_samples))


def _reordered(output: EmiOutput, order: Sequence[int]) -> EmiOutput:
    """Return the output in the order in which the clips were given."""
    places = torch.tensor(order).argsort()

    def rows(values: Tensor) -> Tensor:
        return values[places.to(values.device)]

    def maybe(values: Tensor | None) -> Tensor | None:
        return None if values is None else rows(values)

    return EmiOutput(
        emi=maybe(output.emi),
        vad_mean=maybe(output.vad_mean),
        vad_of_mean=maybe(output.vad_of_mean),
        frame_vad=maybe(output.frame_vad),
        global_vector=rows(output.global_vector),
        num_frames=rows(output.num_frames),
    )
