"""Log-mel bands of clips in a batch: each clip's are those that it has alone.

The extractors of ``transformers`` pad clips first and normalise over the padding, or over as many
frames as the longest clip has; here a clip's own frames decide. All is computed in float64: band
energies span 80 dB, and a float32 FFT would add noise to the weakest that varies with the batch.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from transformers.audio_utils import mel_filter_bank, window_function

from emi_model.architecture.branch import frame_mask
from emi_model.units import INT16_FULL_SCALE, SAMPLING_RATE

WINDOW = 400
"""Samples of an analysis window, 25 ms."""

HOP = 160
"""Samples from one window's start to the next, 10 ms."""

_WHISPER_FLOOR, _WHISPER_RANGE = 1e-10, 8.0
_KALDI_FFT, _KALDI_FLOOR, _PREEMPHASIS = 512, 1.192092955078125e-07, 0.97
_VARIANCE_EPSILON = 1e-7


@torch.no_grad()
def whisper_bands(waveforms: Tensor, num_bands: int, num_steps: int) -> Tensor:
    """Return Whisper's log-mel bands, float32 (B, num_bands, num_steps), a step each 10 ms.

    They are the first steps of what Whisper's extractor makes of the clip followed by silence up to
    30 s. Step i is centred on sample 160 i.

    Args:
        waveforms: float32 (B, S) in [-1, 1], zeros after each clip's end.
        num_bands: 80, or 128 for the newest models.
        num_steps: steps to return, of the longest clip.
    """
    half = WINDOW // 2
    samples = waveforms.double()
    # the loudest step counts even if it is not returned: all windows that hold a sample are taken
    covered = max(num_steps, -(-(samples.shape[1] + half) // HOP))
    missing = (covered - 1) * HOP + half - samples.shape[1]
    samples = torch.nn.functional.pad(samples, (0, max(0, missing)))
    before = samples[:, 1 : half + 1].flip(1)
    windows = torch.cat([before, samples], dim=1).unfold(1, WINDOW, HOP)[:, :covered]
    shape = torch.hann_window(WINDOW, dtype=torch.float64, device=samples.device)
    power = torch.fft.rfft(windows * shape).abs().square()
    bands = (power @ _whisper_filters(num_bands).to(power)).clamp(min=_WHISPER_FLOOR).log10()
    loudest = bands.amax(dim=(1, 2), keepdim=True)
    scaled = (torch.maximum(bands, loudest - _WHISPER_RANGE) + 4.0) / 4.0
    return scaled[:, :num_steps].transpose(1, 2).float()


@torch.no_grad()
def kaldi_bands(waveforms: Tensor, num_bands: int, num_steps: Tensor) -> Tensor:
    """Return Kaldi's log-mel bands, each with mean 0 and variance 1 over its clip's own steps.

    Args:
        waveforms: float32 (B, S) in [-1, 1], zeros after each clip's end.
        num_bands: of the filterbank.
        num_steps: int64 (B,), windows that lie within each clip, two or more.

    Returns:
        float32 (B, the most steps, num_bands), arbitrary after a clip's end.
    """
    samples = waveforms.double() * INT16_FULL_SCALE
    windows = samples.unfold(1, WINDOW, HOP)
    windows = windows - windows.mean(dim=-1, keepdim=True)
    earlier = torch.cat([windows[..., :1], windows[..., :-1]], dim=-1)
    windows = (windows - _PREEMPHASIS * earlier) * _povey().to(windows)
    power = torch.fft.rfft(windows, n=_KALDI_FFT).abs().square()
    bands = (power @ _kaldi_filters(num_bands).to(power)).clamp(min=_KALDI_FLOOR).log()
    own = frame_mask(num_steps, bands.shape[1])[..., None]
    count = num_steps[:, None, None]
    mean = (bands * own).sum(dim=1, keepdim=True) / count
    variance = ((bands - mean).square() * own).sum(dim=1, keepdim=True) / (count - 1)
    scaled: Tensor = (bands - mean) / (variance + _VARIANCE_EPSILON).sqrt()
    return scaled.float()


@cache
def _whisper_filters(num_bands: int) -> Tensor:
    filters = mel_filter_bank(
        *(WINDOW // 2 + 1, num_bands, 0.0, SAMPLING_RATE / 2, SAMPLING_RATE),
        norm="slaney",
        mel_scale="slaney",
    )
    return torch.from_numpy(filters)


@cache
def _kaldi_filters(num_bands: int) -> Tensor:
    filters = mel_filter_bank(
        *(_KALDI_FFT // 2 + 1, num_bands, 20.0, SAMPLING_RATE / 2, SAMPLING_RATE),
        norm=None,
        mel_scale="kaldi",
        triangularize_in_mel_space=True,
    )
    return torch.from_numpy(filters)


@cache
def _povey() -> Tensor:
    return torch.from_numpy(window_function(WINDOW, "povey", periodic=False))
