"""Want of memory: on a card that is nearly full, batches are halved and one clip is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import shorten
from typing import Literal

import numpy as np
import torch

from emi_model.audio.waveform import Int16Waveform
from emi_model.errors import OutOfMemory
from emi_model.predict import Predictor, Scores
from emi_model.speed.gpu.rows import CheckRow, holds, not_here
from emi_model.speed.gpu.scores import MAX_DRIFT, MAX_FROM_ALONE, columns
from emi_model.speed.gpu.stage import Stage, scores_of
from emi_model.speed.noise_clips import noise_waveforms, typical_seconds

ROOM = 0.4
"""Of the memory that the clips took together, how much is left when they are scored again."""

NUM_CLIPS = 64
LONG_CLIP = 1.5
"""How long one clip is over all the others together: it takes more than there is room for."""

TOLERANCES: dict[Literal["fp32", "bf16"], float] = {"fp32": MAX_FROM_ALONE, "bf16": MAX_DRIFT}


def want_of_memory(stage: Stage) -> Iterator[CheckRow]:
    """Score on a card that other allocations fill, in float32 and bfloat16."""
    for precision, tolerance in TOLERANCES.items():
        halved = f"{precision}, out of memory: halved, and the scores are those of a free card"
        refused = f"{precision}, a clip too long for the card: it alone is rejected"
        if not stage.on_gpu:
            yield not_here(halved, f"one shortage or more, within {tolerance:g}")
            yield not_here(refused, f"1 rejected, its neighbours within {tolerance:g}")
            continue
        clips = noise_waveforms(typical_seconds(NUM_CLIPS), seed=3)
        predictor = stage.predictor(precision)
        expected, taken = _roomy(predictor, clips)
        ballast = _ballast(stage.device, int(ROOM * taken))
        try:
            yield _halved(halved, predictor, clips, expected, tolerance)
            yield _refused(refused, predictor, clips, expected, tolerance)
        finally:
            ballast.clear()
            torch.cuda.empty_cache()


def _roomy(predictor: Predictor, clips: Sequence[Int16Waveform]) -> tuple[list[Scores], int]:
    """Return the scores on a free card, and the memory in bytes that they took."""
    scores_of(predictor, clips)  # libraries take memory of their own, once
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(predictor.device)
    before = torch.cuda.memory_reserved(predictor.device)
    scores = scores_of(predictor, clips)
    return scores, torch.cuda.max_memory_reserved(predictor.device) - before


def _ballast(device: torch.device, room: int) -> list[torch.Tensor]:
    """Fill the card but for ``room`` bytes; returns what fills it."""
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    return [torch.empty(max(0, free - room), dtype=torch.uint8, device=device)]


def _halved(
    check: str,
    predictor: Predictor,
    clips: Sequence[Int16Waveform],
    expected: Sequence[Scores],
    tolerance: float,
) -> CheckRow:
    before = _shortages(predictor.device)
    found = scores_of(predictor, clips)
    shortages = _shortages(predictor.device) - before
    apart = float(np.abs(columns(found) - columns(expected)).max())
    return holds(
        check,
        f"{shortages} shortages, largest difference {apart:.2g}",
        f"one shortage or more, within {tolerance:g}",
        shortages > 0 and apart <= tolerance,
    )


def _refused(
    check: str,
    predictor: Predictor,
    clips: Sequence[Int16Waveform],
    expected: Sequence[Scores],
    tolerance: float,
) -> CheckRow:
    long_clip = np.resize(np.concatenate(clips), int(LONG_CLIP * sum(map(len, clips))))
    first, *found = predictor([long_clip, *clips])
    kept = [scores for scores in found if isinstance(scores, Scores)]
    whole = len(kept) == len(clips)
    apart = float(np.abs(columns(kept) - columns(expected)).max()) if whole else float("nan")
    said = f"rejected ({shorten(str(first), 60)})" if isinstance(first, OutOfMemory) else "scored"
    return holds(
        check,
        f"{said}; {len(clips) - len(kept)} neighbours rejected, largest difference {apart:.2g}",
        f"1 rejected, its neighbours within {tolerance:g}",
        isinstance(first, OutOfMemory) and apart <= tolerance,
    )


def _shortages(device: torch.device) -> int:
    return int(torch.cuda.memory_stats(device)["num_ooms"])
