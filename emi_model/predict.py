"""The predictor: a loaded model that is called on batches of clips."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

import torch
from torch import Tensor

from emi_model.architecture.branch import ClipInputs, collate
from emi_model.architecture.config import Numerics, Precision
from emi_model.architecture.fusions.predictions import Predictions
from emi_model.architecture.model import EmiModel, EmiOutput
from emi_model.arrays import Floats
from emi_model.audio.batching import padding_share, plan_batches, plan_ragged
from emi_model.audio.waveform import Int16Waveform, Waveform, check_waveform
from emi_model.engine.choose import choose_engine
from emi_model.engine.model import RaggedModel
from emi_model.errors import AudioError, ConfigError, OutOfMemory
from emi_model.lanes import Lanes, equal_parts
from emi_model.modalities import AUDIO, size_of
from emi_model.units import SAMPLING_RATE

Clip = Int16Waveform | Waveform | ClipInputs
"""A clip's inputs by modality; a waveform by itself is its audio."""

MAX_BATCH_SAMPLES = {"cpu": 96 * SAMPLING_RATE, "cuda": 1_536 * SAMPLING_RATE}
"""Samples of one forward pass, padding included; ``EMI_BATCH_SECONDS`` overrides."""

MAX_STREAMED_SAMPLES = {"cpu": 384 * SAMPLING_RATE, "cuda": 4_096 * SAMPLING_RATE}
"""The same for clips laid end to end: the backbone gets them in pieces, the heads all at once."""

SHORTAGES = ("out of memory", "can't allocate memory", "alloc_failed")
"""Parts of the out-of-memory errors of PyTorch, cuBLAS and cuDNN, each of which allocates."""


@dataclass(frozen=True)
class Scores:
    """The model's output for one clip or window.

    Attributes:
        emi: (targets,), not clipped; None without targets.
        vad_mean: (3,), arousal, dominance, valence: mean of the frame VAD; None without VAD.
        vad_of_mean: (3,), VAD of the mean frame; None without VAD.
        frame_vad: (F, 3); None without VAD.
        global_vector: (D,), of the model's leading branch: for audio, the mean frame features.
        num_frames: F, frames of that branch; 0 where the clip lacks its modality.
        by_modality: what each modality predicts by itself (modalities, targets), NaN where it is
            absent, and how much there is of it (modalities,); None where the fusion weighs no
            predictions (`emi_model.architecture.fusions.predictions`).
    """

    emi: Floats | None
    vad_mean: Floats | None
    vad_of_mean: Floats | None
    frame_vad: Floats | None
    global_vector: Floats
    num_frames: int
    by_modality: tuple[Floats, Floats] | None = None


class Predictor:
    """Scores clips with one model on one device.

    Attributes:
        model: the model, in evaluation mode.
        device: where it runs: CUDA if there is one.
        specs: the input that each of its branches expects, by modality.
        min_samples: samples of the shortest clip that can be scored, one frame.
        hop_samples: samples from one frame's start to the next.
        padding: ``(clip samples, padded samples)`` so far.
        numerics: ``fp32``, ``bf16`` or ``int8``: what the precision means on this device.
        lanes: threads among which the clips of a call are divided; None, or with fewer clips: the
            one that calls.
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
            precision: see `emi_model.architecture.config.Precision`.
            device: ``cpu``, ``cuda`` or ``cuda:N``; default: CUDA if available.
            max_batch_samples: bound on one forward pass, padding included.
        """
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self.device).eval()
        self.specs = self.model.specs
        self.min_samples = self.model.min_samples
        self.hop_samples = self.model.each_branch()[self.model.leading].hop_samples
        self.padding = (0, 0)
        self.lanes: Lanes | None = None
        self.numerics: Numerics
        self.numerics, self._engine = choose_engine(self.model, precision)
        whole = isinstance(self._engine, RaggedModel)
        usual = MAX_STREAMED_SAMPLES if whole else MAX_BATCH_SAMPLES
        self.max_batch_samples = max_batch_samples or batch_samples(usual[self.device.type])
        self._equal_lengths = any(
            branch.needs_equal_lengths for branch in self.model.each_branch().values()
        )

    def __call__(self, clips: Sequence[Clip]) -> list[Scores | OutOfMemory]:
        """Score clips in their order.

        Args:
            clips: the inputs of each by modality, as extractors return them; or a waveform
                (samples,), 16 kHz mono, int16 or float32, which is its audio.

        A clip's scores do not depend on the other clips, except that in bf16 and int8 rounding
        does and moves scores in the third digit. For a clip that does not fit into memory even
        alone an `OutOfMemory` is returned, not raised: the others keep their scores.

        Raises:
            AudioError: a waveform of two channels, of less than one frame, or not finite.
            ConfigError: a clip lacks a modality that is not optional, or all of them, or has too
                little of one.
        """
        inputs = [clip if isinstance(clip, Mapping) else {AUDIO: clip} for clip in clips]
        self._check(inputs)
        lengths = list(map(size_of, inputs))
        lanes = self.lanes if self.lanes and len(inputs) >= self.lanes.number else None
        parts = equal_parts(lengths, 1 if lanes is None else lanes.number)
        planned = [self._batches(lengths, part) for part in parts]
        # the first of each part, then the second of each, ...
        batches = [batch for turn in zip_longest(*planned) for batch in turn if batch is not None]
        score = partial(self._score, inputs=inputs)
        made = map(score, batches) if lanes is None else lanes.each(score, batches)
        scored = {index: one for some in made for index, one in some.items()}
        if lanes is not None:  # what other threads held is free now
            for index in [at for at, one in scored.items() if isinstance(one, OutOfMemory)]:
                scored |= self._score([index], inputs)
        return [scored[index] for index in range(len(inputs))]

    def release_weights(self) -> None:
        """Free the backbone's own weights where the engine has its own copy of them.

        Scores stay as they are; the model itself, as `emi_model.attribution` needs it, cannot run
        any more. Of a full-size model this frees 0.6 GB.
        """
        if self._engine is not None:
            self.model.audio.backbone.to("meta")

    def _check(self, inputs: Sequence[ClipInputs]) -> None:
        for clip in inputs:
            if AUDIO in clip:
                check_waveform(clip[AUDIO])
            if not self.specs.keys() & clip.keys():
                raise ConfigError(
                    f"found a clip with {sorted(clip) or 'nothing'}, expected at least one of "
                    f"{', '.join(self.specs)}"
                )
        for modality, spec in self.specs.items():
            found = [clip[modality] for clip in inputs if modality in clip]
            if len(found) < len(inputs) and modality in self.model.config.required:
                raise ConfigError(f"found a clip without {modality!r}, which this model needs")
            shortest = min(map(len, found), default=spec.min_length)
            if shortest < spec.min_length and modality == AUDIO:
                raise AudioError(
                    f"found a clip of {shortest} samples, expected at least {spec.min_length} (one "
                    "frame)"
                )
            if shortest < spec.min_length:
                raise ConfigError(
                    f"found {modality!r} of length {shortest}, expected at least {spec.min_length}"
                )
            if not all(map(spec.holds, found)):
                raise ConfigError(
                    f"found {modality!r} that holds nothing to encode: leave it out of the clip"
                )

    def _batches(self, lengths: list[int], part: list[int]) -> list[list[int]]:
        """Return the batches of some of the clips."""
        own = [lengths[index] for index in part]
        if self._engine is not None:
            planned = plan_ragged(own, self.max_batch_samples)
            self._count_padding(own, [[index] for index in range(len(own))])
        else:
            planned = plan_batches(own, self.max_batch_samples, equal_lengths=self._equal_lengths)
            self._count_padding(own, planned)
        return [[part[index] for index in batch] for batch in planned]

    def _score(
        self, batch: list[int], inputs: Sequence[ClipInputs]
    ) -> dict[int, Scores | OutOfMemory]:
        """Score a batch; if memory does not suffice, score its halves."""
        try:
            return dict(zip(batch, self._forward([inputs[index] for index in batch]), strict=True))
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            message = str(error).strip().partition("\n")[0]
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if len(batch) == 1:
            return {batch[0]: OutOfMemory(message or "no memory for one clip alone")}
        half = len(batch) // 2
        return self._score(batch[:half], inputs) | self._score(batch[half:], inputs)

    @torch.inference_mode()
    def _forward(self, inputs: Sequence[ClipInputs]) -> list[Scores]:
        if isinstance(self._engine, RaggedModel):
            return _split(self._engine([clip[AUDIO] for clip in inputs]))
        if self._engine is not None:
            return _split(self._engine(inputs))
        prepared = [
            {name: spec.prepare(clip[name]) for name, spec in self.specs.items() if name in clip}
            for clip in inputs
        ]
        batch = {
            name: one.to(self.device) for name, one in collate(prepared, [*self.specs]).items()
        }
        lower = torch.bfloat16 if self.numerics == "bf16" else None
        # with TF32, convolutions in fp32 would have 10 bits of mantissa
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=lower is not None):
            output = self.model(batch, backbone_dtype=lower)
        return _split(output)

    def _count_padding(self, lengths: list[int], batches: list[list[int]]) -> None:
        own = sum(lengths)
        padded = round(own / (1 - padding_share(lengths, batches)))
        self.padding = (self.padding[0] + own, self.padding[1] + padded)


def _split(output: EmiOutput) -> list[Scores]:
    num_frames: list[int] = output.num_frames.tolist()
    emi = _rows(output.emi, len(num_frames))
    vad = [
        _rows(values, len(num_frames))
        for values in (output.vad_mean, output.vad_of_mean, output.frame_vad)
    ]
    global_vectors = list(_to_numpy(output.global_vector))
    apart = [None] * len(num_frames) if output.predictions is None else _each(output.predictions)
    return [
        Scores(
            emi=emi[row],
            vad_mean=vad[0][row] if frames else None,
            vad_of_mean=vad[1][row] if frames else None,
            frame_vad=None if (found := vad[2][row]) is None or not frames else found[:frames],
            global_vector=global_vectors[row],
            num_frames=frames,
            by_modality=apart[row],
        )
        for row, frames in enumerate(num_frames)
    ]


def _each(predictions: Predictions) -> list[tuple[Floats, Floats]]:
    values, amounts = map(_to_numpy, predictions)
    return list(zip(values, amounts, strict=True))


def _rows(values: Tensor | None, num_rows: int) -> Sequence[Floats | None]:
    return [None] * num_rows if values is None else list(_to_numpy(values))


def _to_numpy(values: Tensor) -> Floats:
    array: Floats = values.float().cpu().numpy()
    return array


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory does not suffice."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return any(shortage in text for shortage in SHORTAGES)


def batch_samples(usual: int) -> int:
    """Return the samples of one forward pass: ``EMI_BATCH_SECONDS``, else the usual ones.

    Raises:
        ConfigError: the variable is no number of seconds.
    """
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
