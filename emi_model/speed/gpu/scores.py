"""Scores: the card's against the CPU's, alone against in a batch, bfloat16 against float32."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from emi_model.architecture.branch import ClipInputs
from emi_model.architecture.model import EmiModel
from emi_model.audio.waveform import Int16Waveform
from emi_model.predict import Predictor, Scores
from emi_model.speed.gpu.rows import CheckRow, at_least, at_most, not_here
from emi_model.speed.gpu.stage import Stage, scores_of

MAX_FROM_CPU = 1e-4
MAX_FROM_ALONE = 1e-5
MAX_DRIFT = 0.01
MIN_PEARSON = 0.999


def exactness(stage: Stage) -> Iterator[CheckRow]:
    """Compare float32 without TF32 with the CPU's, and a batch with one clip a call."""
    check = f"fp32 on the card against the CPU, {len(stage.clips)} clips, largest difference"
    if stage.on_gpu:
        there = scores_of(stage.predictor("fp32", "cpu"), stage.clips)
        yield at_most(check, largest_difference(stage.exact, there), MAX_FROM_CPU)
    else:
        yield not_here(check, f"at most {MAX_FROM_CPU:g}")
    predictor = stage.predictor("fp32")
    alone = [scores_of(predictor, [clip])[0] for clip in stage.clips]
    check = "fp32, alone against in a batch, largest difference"
    yield at_most(check, largest_difference(stage.exact, alone), MAX_FROM_ALONE)


def exact_scores(
    stage: Stage,
    model: EmiModel,
    clips: Sequence[Int16Waveform] | Sequence[ClipInputs],
    *,
    from_cpu: str,
    from_alone: str,
) -> Generator[CheckRow, None, list[Scores]]:
    """Make the checks of `exactness` of another model and its clips; returns the card's scores.

    Args:
        stage: says what the card is.
        model: to be scored with.
        clips: waveforms, or inputs by modality.
        from_cpu: name of the first check.
        from_alone: name of the second.
    """
    expected = None
    if stage.on_gpu:
        expected = scores_of(Predictor(model, precision="fp32", device="cpu"), clips)
    predictor = Predictor(model, precision="fp32", device=str(stage.device))
    found = scores_of(predictor, clips)
    if expected is None:
        yield not_here(from_cpu, f"at most {MAX_FROM_CPU:g}")
    else:
        yield at_most(from_cpu, largest_difference(found, expected), MAX_FROM_CPU)
    alone = [scores_of(predictor, clips[place : place + 1])[0] for place in range(len(clips))]
    yield at_most(from_alone, largest_difference(found, alone), MAX_FROM_ALONE)
    return found


def drift(stage: Stage) -> Iterator[CheckRow]:
    """Compare bfloat16 with float32 on the same device."""
    lower = scores_of(stage.predictor("bf16"), stage.clips)
    found, exact = columns(lower), columns(stage.exact)
    yield at_most("bf16 against fp32, largest drift of a score", _apart(found, exact), MAX_DRIFT)
    check = f"bf16 against fp32, Pearson over clips, the least of {len(found.T)} scores"
    yield at_least(check, least_pearson(found, exact), MIN_PEARSON)


def least_pearson(found: NDArray[np.float32], exact: NDArray[np.float32]) -> float:
    """Return the least correlation over clips of any column of (clips, columns)."""
    columns_of = zip(found.T, exact.T, strict=True)
    return min(float(np.corrcoef(one, other)[0, 1]) for one, other in columns_of)


def columns(scores: Sequence[Scores]) -> NDArray[np.float32]:
    """Return the scores of clips (clips, columns): EMI, mean of the VAD, VAD of the mean."""
    rows = [
        np.concatenate(
            [part for part in (each.emi, each.vad_mean, each.vad_of_mean) if part is not None]
        )
        for each in scores
    ]
    return np.stack(rows)


def largest_difference(found: Sequence[Scores], expected: Sequence[Scores]) -> float:
    """Return the largest difference of any value of any clip, frames and vectors included."""
    return max(
        _apart(one, other)
        for scores, wanted in zip(found, expected, strict=True)
        for one, other in zip(_values(scores), _values(wanted), strict=True)
    )


def _values(scores: Scores) -> list[NDArray[np.float32]]:
    parts = (scores.emi, scores.vad_mean, scores.vad_of_mean, scores.frame_vad)
    return [*(part for part in parts if part is not None), scores.global_vector]


def _apart(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    if one.shape != other.shape:
        raise ValueError(f"found values of shape {one.shape}, expected {other.shape}")
    return float(np.abs(one - other).max())
