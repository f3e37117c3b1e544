"""The predictor: a model loaded once, called on batches of waveforms."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from emi_model.architecture.config import Precision
from emi_model.architecture.model import EmiModel, EmiOutput
from emi_model.arrays import Floats
from emi_model.audio.batching import pad, padding_share, plan_batches, plan_ragged
from emi_model.audio.waveform import Int16Waveform, Waveform, as_float, normalise
from emi_model.engine.backbone import fits
from emi_model.engine.model import RaggedModel
from emi_model.engine.precision import numerics, product_dtype
from emi_model.errors import AudioError, ConfigError, OutOfMemory
from emi_model.units import SAMPLING_RATE

MAX_BATCH_SAMPLES = {"cpu": 96 * SAMPLING_RATE, "cuda": 1_536 * SAMPLING_RATE}
"""Samples of one forward pass, padding included; ``EMI_BATCH_SECONDS`` overrides."""

MAX_STREAMED_SAMPLES = {"cpu": 384 * SAMPLING_RATE, "cuda": 4_096 * SAMPLING_RATE}
"""The same where clips are laid end to end: pieces of it pass the backbone, all of it the heads."""

SHORTAGES = ("out of memory", "can't allocate memory", "alloc_failed")
"""What PyTorch calls a want of memory, and cuBLAS and cuDNN, which allocate by themselves."""


@dataclass(frozen=True)
class Scores:
    """What the model says of one clip or window.

    Attributes:
        emi: (targets,), not clipped; None without targets.
        vad_mean: (3,), arousal, dominance, valence: mean of the frame VAD; None without VAD.
        vad_of_mean: (3,), VAD of the mean frame; None without VAD.
        frame_vad: (F, 3); None without VAD.
        global_vector: (D,), mean of the frame features.
        num_frames: F.
    """

    emi: Floats | None
    vad_mean: Floats | None
    vad_of_mean: Floats | None
    frame_vad: Floats | None
    global_vector: Floats
    num_frames: int


class Predictor:
    """Scores waveforms with one model on one device.

    Attributes:
        model: the model, in evaluation mode.
        device: where it runs: CUDA if there is one.
        min_samples: samples of the shortest clip that can be scored, one frame.
        padding: ``(clip samples, padded samples)`` seen so far.
        numerics: ``fp32``, ``bf16`` or ``int8``: what the precision asked for means on this device.
    """

    def __init__(
        self,
        model: EmiModel,
        *,
        precision: Precision = "auto",
        device: str | None = None,
        max_batch_samples: int | None = None,
    ) -> None:
        """Move the model to its device.

        Args:
            model: the model to score with.
            precision: as `emi_model.architecture.config.Precision` says.
            device: ``cpu``, ``cuda`` or ``cuda:N``; default: CUDA if available.
            max_batch_samples: bound on one forward pass, padding included.
        """
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self.device).eval()
        self.min_samples = model.backbone.geometry.min_samples
        self.padding = (0, 0)
        self.numerics = numerics(precision, self.device, model.config.hidden_size)
        # In fp32 the model itself runs: the reference of all that is faster.
        self._streamed: RaggedModel | None = None
        self._dtype = product_dtype(self.numerics)
        if self.numerics != "fp32" and fits(model.backbone):
            int8 = self.numerics == "int8"
            self._streamed = RaggedModel(self.model, self._dtype, int8=int8)
        elif self.numerics == "int8":  # only clips laid end to end can be multiplied so
            self.numerics = "fp32" if self._dtype == torch.float32 else "bf16"
        usual = MAX_BATCH_SAMPLES if self._streamed is None else MAX_STREAMED_SAMPLES
        self.max_batch_samples = max_batch_samples or _batch_samples(usual[self.device.type])

    def __call__(self, waveforms: Sequence[Int16Waveform | Waveform]) -> list[Scores | OutOfMemory]:
        """Score waveforms (samples,) of 16 kHz mono, int16 or float32, in their order.

        A waveform's scores depend on nothing but itself; in bf16 and int8 how products are
        rounded hangs on what stands beside it, and moves scores in the third digit. One that does
        not fit into memory even alone comes back as an `OutOfMemory`, not raised: its neighbours
        keep their scores.

        Raises:
            AudioError: a waveform of less than one frame, or not finite.
        """
        lengths = [len(waveform) for waveform in waveforms]
        shortest = min(lengths, default=self.min_samples)
        if shortest < self.min_samples:
            raise AudioError(
                f"found a clip of {shortest} samples, expected at least {self.min_samples} (one "
                "frame)"
            )
        batches = self._batches(lengths)
        scored: dict[int, Scores | OutOfMemory] = {}
        for batch in batches:
            scored.update(self._score(batch, waveforms))
        return [scored[index] for index in range(len(waveforms))]

    def _batches(self, lengths: list[int]) -> list[list[int]]:
        if self._streamed is not None:
            self._count_padding(lengths, [[index] for index in range(len(lengths))])
            return plan_ragged(lengths, self.max_batch_samples)
        batches = plan_batches(
            lengths,
            self.max_batch_samples,
            equal_lengths=self.model.backbone.needs_equal_lengths,
        )
        self._count_padding(lengths, batches)
        return batches

    def _score(
        self, batch: list[int], waveforms: Sequence[Int16Waveform | Waveform]
    ) -> dict[int, Scores | OutOfMemory]:
        """Score a batch; where memory does not suffice, its halves."""
        try:
            return dict(
                zip(batch, self._forward([waveforms[index] for index in batch]), strict=True)
            )
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            message = str(error).strip().partition("\n")[0]
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if len(batch) == 1:
            return {batch[0]: OutOfMemory(message or "no memory for one clip alone")}
        half = len(batch) // 2
        return self._score(batch[:half], waveforms) | self._score(batch[half:], waveforms)

    @torch.inference_mode()
    def _forward(self, waveforms: Sequence[Int16Waveform | Waveform]) -> list[Scores]:
        if self._streamed is not None:
            return _split(self._streamed(waveforms))
        batch, num_samples = pad([normalise(as_float(waveform)) for waveform in waveforms])
        lower = self._dtype if self._dtype != torch.float32 else None
        # TF32 would leave fp32 with 10 bits of mantissa in the convolutions
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=lower is not None):
            output = self.model(
                batch.to(self.device), num_samples.to(self.device), backbone_dtype=lower
            )
        return _split(output)

    def _count_padding(self, lengths: list[int], batches: list[list[int]]) -> None:
        own = sum(lengths)
        padded = round(own / (1 - padding_share(lengths, batches)))
        self.padding = (self.padding[0] + own, self.padding[1] + padded)


def _split(output: EmiOutput) -> list[Scores]:
    num_frames: list[int] = output.num_frames.tolist()
    columns = [
        _rows(values, len(num_frames))
        for values in (output.emi, output.vad_mean, output.vad_of_mean, output.frame_vad)
    ]
    global_vectors = list(_to_numpy(output.global_vector))
    return [
        Scores(
            emi=emi,
            vad_mean=vad_mean,
            vad_of_mean=vad_of_mean,
            frame_vad=None if frame_vad is None else frame_vad[:frames],
            global_vector=global_vector,
            num_frames=frames,
        )
        for emi, vad_mean, vad_of_mean, frame_vad, global_vector, frames in zip(
            *columns, global_vectors, num_frames, strict=True
        )
    ]


def _rows(values: Tensor | None, num_rows: int) -> Sequence[Floats | None]:
    return [None] * num_rows if values is None else list(_to_numpy(values))


def _to_numpy(values: Tensor) -> Floats:
    array: Floats = values.float().cpu().numpy()
    return array


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return any(said in text for said in SHORTAGES)


def _batch_samples(usual: int) -> int:
    text = os.environ.get("EMI_BATCH_SECONDS")
    if text is None:
        return usual
    try:
        seconds = float(text)
    except ValueError as error:
        raise ConfigError(f"EMI_BATCH_SECONDS is {text!r}, expected seconds of audio") from error
    if not 0 < seconds < math.inf:
        raise ConfigError(f"EMI_BATCH_SECONDS is {text!r}, expected more than 0")
    return int(seconds * SAMPLING_RATE)
