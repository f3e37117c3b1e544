"""Reads an audio file to a waveform, in this process: WAV, FLAC, Ogg and what libsndfile knows.

For a notebook or a machine without the workflow. Files of strangers, video and everything else
belong to `emi score` and `emi process`, which decode in a process of its own, within limits.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from emi_model.audio.waveform import Waveform
from emi_model.errors import AudioError
from emi_model.units import SAMPLING_RATE

FILTER_CROSSINGS = 32
"""Zero crossings of the low-pass filter on each side: its length, in periods of its cut-off."""

ROLL_OFF = 0.97
"""The cut-off, as a share of the lower of the two Nyquist frequencies."""

_MOST_TAPS = 2**22
"""Of the filters of all phases. Rates such as 11,127 Hz, which have few factors in common with 16
kHz, have so many phases that their filters would fill the memory."""

_AT_ONCE = 4096
"""Samples whose filters are made together, where each is used once."""


def read_waveform(path: Path | str, max_seconds: float | None = None) -> Waveform:
    """Return a file as the model takes it: float32 (samples,), 16 kHz, the mean of its channels.

    Args:
        path: of the file.
        max_seconds: read no more than this, from the start; None for all.

    Raises:
        AudioError: the file is missing, of another format, or holds no sample.
    """
    import soundfile

    try:
        with soundfile.SoundFile(str(path)) as file:
            rate = int(file.samplerate)
            frames = -1 if max_seconds is None else math.ceil(max_seconds * rate)
            found = file.read(frames, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:  # soundfile's own is a RuntimeError
        raise AudioError(
            f"{path}: cannot be read ({error}): expected WAV, FLAC or Ogg; `emi score` reads other "
            "formats"
        ) from error
    if not len(found):
        raise AudioError(f"{path}: found no sample")
    return resample(found.mean(axis=1), rate)


def resample(waveform: NDArray[np.float32], rate: int) -> Waveform:
    """Return a waveform (samples,) of ``rate`` Hz at 16 kHz, by a windowed-sinc low-pass filter.

    The result has ``ceil(samples * 16000 / rate)`` samples.
    """
    if rate == SAMPLING_RATE:
        return waveform
    common = math.gcd(rate, SAMPLING_RATE)
    down, up = rate // common, SAMPLING_RATE // common
    num_samples = math.ceil(len(waveform) * up / down)
    reach = math.ceil(FILTER_CROSSINGS * down / _cut_off(down, up))
    if up * (2 * reach + down) > _MOST_TAPS:
        return _resampled_in_portions(waveform, num_samples, down, up, reach)
    kernels = _kernels(down, up, reach)
    padded = np.pad(waveform, (reach, reach + down))
    values = torch.from_numpy(padded)[None, None]
    with torch.inference_mode():
        phases = torch.nn.functional.conv1d(values, kernels[:, None], stride=down)[0]
    return np.ascontiguousarray(phases.T.reshape(-1)[:num_samples].numpy())


def _resampled_in_portions(
    waveform: NDArray[np.float32], num_samples: int, down: int, up: int, reach: int
) -> Waveform:
    """Return what `resample` does, with a filter for each sample in place of each phase."""
    padded = np.pad(waveform, (reach, reach + 2))
    taps = np.arange(-reach, reach + 1)
    found = np.empty(num_samples, np.float32)
    for first in range(0, num_samples, _AT_ONCE):
        some = np.arange(first, min(first + _AT_ONCE, num_samples), dtype=np.int64)
        places, phases = np.divmod(some * down, up)
        offsets = torch.from_numpy((taps - phases[:, None] / up) / down)
        heard = padded[(places + reach)[:, None] + taps]
        found[some] = np.einsum("ij,ij->i", heard, _filter(offsets, down, up).numpy())
    return found


def _kernels(down: int, up: int, reach: int) -> torch.Tensor:
    """Return a filter for each of ``up`` output samples in a period, (up, taps)."""
    taps = torch.arange(-reach, reach + down, dtype=torch.float64) / down
    phases = -torch.arange(up, dtype=torch.float64) / up
    return _filter(phases[:, None] + taps, down, up)


def _filter(offsets: torch.Tensor, down: int, up: int) -> torch.Tensor:
    """Return the filter's weights at offsets in time, in periods of ``up`` output samples."""
    cut_off = _cut_off(down, up)
    times = (offsets * cut_off).clamp(-FILTER_CROSSINGS, FILTER_CROSSINGS)
    window = torch.cos(times * math.pi / FILTER_CROSSINGS / 2) ** 2
    return (torch.sinc(times) * window * cut_off / down).float()


def _cut_off(down: int, up: int) -> float:
    return min(down, up) * ROLL_OFF
