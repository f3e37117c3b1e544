"""Clips of two vectors, whose label is a product of the two, a sum, or has nothing to do with them.

A clip's vectors are normal noise x and z. Along one direction of each, a and b, the label is
``(a x) (b z)`` or ``(a x) + (b z)``, of unit variance, plus a little noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from emi_model.architecture.branch import BranchOutput
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused
from emi_model.architecture.fusions.registry import build_fusion
from emi_model.arrays import Doubles

PRODUCT, SUM, SHUFFLED = "product", "sum", "shuffled"

WIDTH = 6
NOISE = 0.3
NAMES = ("text", "vision")

PROBE: Mapping[str, Any] = {"name": "concat", "hidden_size": 0}
"""Concatenation, then one linear layer."""

PRODUCTS: Mapping[str, Mapping[str, Any]] = {
    "tensor": {"name": "tensor", "size": 6, "hidden_size": 16},
    "low_rank": {"name": "low_rank", "size": 6, "hidden_size": 16, "rank": 4},
    "vilbert": {"name": "vilbert", "size": 16, "num_heads": 2, "num_layers": 1},
}
"""Fusions that are to learn a product."""


class Task(NamedTuple):
    """Vectors (N, 2, WIDTH) and labels (N,) to learn from, and as many others to predict."""

    values: Tensor
    labels: Tensor
    other_values: Tensor
    other_labels: Tensor


def made_task(kind: str, seed: int, num_clips: int) -> Task:
    """Return the clips of one seed, of one of the three kinds of label; shuffled are products."""
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((2, WIDTH))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    values = rng.standard_normal((2 * num_clips, 2, WIDTH))
    along = (values * directions).sum(axis=-1)
    labels = along.sum(axis=1) / 2**0.5 if kind == SUM else along.prod(axis=1)
    labels = labels + NOISE * rng.standard_normal(len(labels))
    if kind == SHUFFLED:
        labels = rng.permutation(labels)
    found = (torch.tensor(values).float(), torch.tensor(labels).float())
    return Task(*(part[:num_clips] for part in found), *(part[num_clips:] for part in found))


def predicted(fusion: Mapping[str, Any], task: Task, *, seed: int, steps: int) -> Doubles:
    """Return the predictions (N,) for a task's other clips, by a fusion trained on the first.

    Args:
        fusion: its name and arguments.
        task: what to learn, all clips at once.
        seed: of weights and dropout.
        steps: of AdamW at 1e-2, decaying by a cosine; nothing is chosen by the predictions.
    """
    torch.manual_seed(seed)
    branches = {name: Fused(WIDTH, is_sequential=False) for name in NAMES}
    config = EmiConfig(
        targets=("Label",), vad_head=False, branches={name: {} for name in NAMES}, fusion=fusion
    )
    model = build_fusion(config, branches)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        found = model(_outputs(task.values), len(task.values))[:, 0]
        (found - task.labels).square().mean().backward()
        optimiser.step()
        schedule.step()
    with torch.inference_mode():
        emi = model.eval()(_outputs(task.other_values), len(task.other_values))
    return np.asarray(emi[:, 0].double().numpy())


def _outputs(values: Tensor) -> dict[str, BranchOutput]:
    counts = torch.ones(len(values), dtype=torch.int64)
    return {
        name: BranchOutput(values[:, [place]], counts, values[:, place])
        for place, name in enumerate(NAMES)
    }
