"""Clips that a tiny model can learn from: tones in noise, labelled with the share of the noise."""

from __future__ import annotations

import numpy as np

from emi_model.training.clips import LabelledClip


def noisy_clips(
    num_clips: int, *, vad: bool = True, num_targets: int = 2, seed: int = 0
) -> list[LabelledClip]:
    """Return clips of 0.25 to 0.375 s; targets by turns rise and fall with the share of noise."""
    rng = np.random.default_rng(seed)
    clips: list[LabelledClip] = []
    for index in range(num_clips):
        num_samples = int(rng.integers(4000, 6000))
        share = rng.uniform()
        tone = np.sin(np.arange(num_samples) * rng.uniform(0.1, 0.2))
        waveform = 3000 * ((1 - share) * tone + share * rng.standard_normal(num_samples))
        labels = np.resize([share, 1 - share], num_targets).astype(np.float32)
        rated = np.full(3, share, dtype=np.float32) if vad else None
        clips.append(
            LabelledClip(f"{index}.mp4", {"audio": waveform.astype(np.int16)}, labels, rated)
        )
    return clips
