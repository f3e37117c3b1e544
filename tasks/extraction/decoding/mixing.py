"""How the channels of a track become one."""

from __future__ import annotations

import re
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from emi_model.audio.waveform import SILENCE_DBFS, rms_dbfs

MAX_CHANNELS = 64
"""ffmpeg's filters take no more."""

TELLING_SECONDS = 2.0
"""So much of a track tells, nearly always, whether stereo cancels."""

_CANCELLED_DB = 20.0
"""Stereo cancels if mono is so much below its first channel: the second is its mirror image."""

_QUIET_DBFS = -35.0
"""Louder mono is not suspected: its first channel would have to be at full scale."""

_NO_LAYOUT = re.compile(r"\d+ channels?")

# What the FLAC format lets a reader assume where its file has no layout. Recorders that write
# several microphones do not mean it: the fourth of six would count as a subwoofer, with weight 0.
_ASSUMED_BY_FLAC = {3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


class Mixing(Enum):
    """What mono is made of."""

    LAYOUT = "by the layout"
    """The channels of a declared layout, weighed as ffmpeg does; of stereo, the mean."""
    MEAN = "the mean of all"
    """Of a track of three channels or more without a layout: any of them may be the voice."""
    AMBISONIC = "ambisonic W"
    """The channel of a sphere of sound that has no direction."""
    FIRST = "the first"
    """Where stereo cancels in the sum."""


def mixing_of(codec: str | None, layout: str | None, channels: int | None) -> Mixing:
    """Return how a track is mixed.

    Args:
        codec: libav's name of its codec.
        layout: libav's name of its channel layout, such as ``5.1`` or ``6 channels``.
        channels: their number.
    """
    if layout is None or channels is None:
        return Mixing.LAYOUT
    if layout.startswith("ambisonic"):
        return Mixing.AMBISONIC
    assumed = codec == "flac" and layout == _ASSUMED_BY_FLAC.get(channels)
    if channels > 2 and (assumed or _NO_LAYOUT.fullmatch(layout)):
        return Mixing.MEAN
    return Mixing.LAYOUT


def mix_filter(mixing: Mixing, channels: int | None) -> str:
    """Return ffmpeg's filters that mix, with a comma at the end; none where it mixes by itself."""
    if mixing is Mixing.LAYOUT:
        return ""
    if mixing is Mixing.MEAN and channels:
        weighed = "+".join(f"{1 / channels:.9f}*c{number}" for number in range(channels))
        return f"aformat=sample_fmts=fltp,pan=mono|c0={weighed},"
    return "aformat=sample_fmts=fltp,pan=mono|c0=c0,"


def may_cancel(mixing: Mixing, channels: int | None, mono: NDArray[np.int16]) -> bool:
    """Return whether mono, at least one sample, is so quiet that stereo may have cancelled."""
    return channels == 2 and mixing is Mixing.LAYOUT and rms_dbfs(mono) < _QUIET_DBFS


def may_mirror(mono: NDArray[np.int16], first: NDArray[np.int16]) -> bool:
    """Return whether, by the beginning of a track, its channels cancel or nothing can be said."""
    return not first.size or rms_dbfs(first) < SILENCE_DBFS or cancels(mono, first)


def cancels(mono: NDArray[np.int16], first: NDArray[np.int16]) -> bool:
    """Return whether mono, at least one sample, is far below the first channel."""
    return first.size > 0 and rms_dbfs(first) - rms_dbfs(mono) >= _CANCELLED_DB
