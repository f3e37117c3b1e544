"""Which fusions learn a label that is a product of two modalities, or their sum, or neither.

The clips are two vectors each (`tests.emi_model.architecture.fusions.two_vectors`). Every seed
makes other clips and other first weights; the last step counts, nothing is chosen on the clips
reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emi_model.arrays import Doubles
from emi_model.metrics.bootstrap import evaluate_with_intervals, paired_difference
from tests.emi_model.architecture.fusions.two_vectors import (
    PROBE,
    PRODUCT,
    PRODUCTS,
    SHUFFLED,
    SUM,
    made_task,
    predicted,
)

Row = tuple[str, str]

SEEDS = (1, 2, 3)
NUM_CLIPS = 300
KINDS = (PRODUCT, SUM, SHUFFLED)
STEPS = 100
LINEAR_STEPS = 400
"""So many that the reference has found all that one linear layer can."""

LINEAR = "concat, then linear"

FUSIONS: Mapping[str, Mapping[str, Any]] = {
    LINEAR: PROBE,
    **PRODUCTS,
    "concat": {"name": "concat", "hidden_size": 16},
    "clip": {"name": "clip", "size": 16},
    "pooled": {"name": "pooled", "size": 16, "dropout": 0.1},
    "text_anchored": {"name": "text_anchored", "size": 16},
}


def products(_: Path, __: Path) -> Iterator[Row]:
    """Pearson on clips that were not learnt from, mean of the seeds, with 95 % intervals."""
    torch.set_num_threads(1)
    for kind in KINDS:
        tasks = {seed: made_task(kind, seed, NUM_CLIPS) for seed in SEEDS}
        labels = np.stack([task.other_labels.double().numpy() for task in tasks.values()], axis=1)
        reference = None
        for name, fusion in FUSIONS.items():
            steps = LINEAR_STEPS if name == LINEAR else STEPS
            of_seeds = [
                predicted(fusion, task, seed=seed, steps=steps) for seed, task in tasks.items()
            ]
            found = np.stack(of_seeds, axis=1)
            reference = found if reference is None else reference
            yield f"{kind}: {name}", _shown(found, reference, labels)


def _shown(found: Doubles, reference: Doubles, labels: Doubles) -> str:
    """Return the mean over seeds, which are the columns (clips, seeds), and what is gained."""
    names = [str(seed) for seed in SEEDS]
    pearson = evaluate_with_intervals(found, labels, names).mean.pearson
    text = f"**{pearson.value:.3f}** ({pearson.low:.3f} to {pearson.high:.3f})"
    if found is reference:
        return text
    more = paired_difference(found, reference, labels, level=0.975)
    return f"{text}; {more.difference:+.3f} ({more.low:+.3f} to {more.high:+.3f}) over linear"
