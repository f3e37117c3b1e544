"""What each of the processes does that train together: a module, so that another process runs it.

``python -m tests.emi_model.training.train_together FOLDER RANK SIZE`` takes part in everything
and leaves what it found in ``FOLDER/rankRANK.pt``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn

from emi_model.architecture.model import EmiModel
from emi_model.errors import TrainingError
from emi_model.training import group as parallel
from emi_model.training.batches import plan_epoch
from emi_model.training.clips import LabelledClip
from emi_model.training.first_weights import from_scratch
from emi_model.training.fit import FitResult, fit
from emi_model.training.group import ProcessGroup, SingleProcess
from emi_model.training.objective.losses import LOSSES
from emi_model.training.recipes import Recipe, recipe_named
from emi_model.training.state import FolderJournal
from emi_model.training.validate import evaluate_clips
from tests.emi_model.training.made_modalities import made_clips, made_config
from tests.emi_model.training.noisy_clips import noisy_clips

TARGETS = ("Noise", "Tone")
TIMEOUT = timedelta(seconds=60)


@contextmanager
def group_of(size: int, rank: int, folder: Path) -> Iterator[ProcessGroup]:
    """Join the processes that meet in ``folder``, on this machine."""
    store = distributed.FileStore(str(folder / "store"), size)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=TIMEOUT)
    try:
        yield ProcessGroup()
    finally:
        distributed.destroy_process_group()


def debug_recipe(variant: str = "mse_pearson", **changes: Any) -> Recipe:
    recipe = recipe_named(f"debug+{variant}")
    return replace(recipe, train=replace(recipe.train, epochs=2, **changes))


def learn(
    group: SingleProcess,
    recipe: Recipe,
    *,
    num_clips: int = 13,
    num_valid: int = 5,
    **arguments: Any,
) -> tuple[EmiModel, FitResult]:
    """Fit the recipe's model on clips of which a few are rated; 13 make batches of 7 and 6."""
    # ranks begin with weights of their own, which training has to put right
    first = replace(recipe, train=replace(recipe.train, seed=recipe.train.seed + group.rank))
    model = from_scratch(first, TARGETS)
    clips = arguments.pop("clips", some_rated(num_clips))
    valid_set = noisy_clips(num_valid, seed=1)
    fitted = fit(model, clips, valid_set, recipe.train, device="cpu", group=group, **arguments)
    return model, fitted


def some_rated(num_clips: int) -> list[LabelledClip]:
    """Return clips of which every fifth is rated for VAD: in some batches one rank has none."""
    clips = noisy_clips(num_clips)
    return [clip if i % 5 == 0 else replace(clip, vad=None) for i, clip in enumerate(clips)]


def outcome(model: EmiModel, fitted: FitResult) -> dict[str, Any]:
    """Return what has to be equal whoever trains."""
    return {
        "epoch": fitted.epoch,
        "losses": [report.train_loss for report in fitted.history],
        "valid": [
            {name: asdict(figures) for name, figures in (report.valid or {}).items()}
            for report in fitted.history
        ],
        "weights": model.state_dict(),
    }


def of_loss(loss: str) -> Callable[[SingleProcess], Any]:
    keep = "last" if loss == "pearson" else "best"  # it leaves the level open, scores are clipped
    recipe = debug_recipe(loss.replace("+", "_"), keep=keep)
    return lambda group: outcome(*learn(group, recipe))


def in_many_messages(group: SingleProcess) -> Any:
    whole, parallel.BUCKET_ELEMENTS = parallel.BUCKET_ELEMENTS, 100
    try:
        return outcome(*learn(group, debug_recipe()))
    finally:
        parallel.BUCKET_ELEMENTS = whole


def out_of_fold(group: SingleProcess) -> Any:
    """Fit a fusion in two folds: three trainings of one model, with predictions between them."""
    recipe = debug_recipe(folds=2)
    recipe = replace(recipe, model=made_config({"name": "late"}))
    return outcome(*learn(group, recipe, clips=made_clips(13)))


def with_layers_dropped(group: SingleProcess) -> Any:
    recipe = debug_recipe()
    model = replace(recipe.model, backbone={**recipe.model.backbone, "layerdrop": 0.5})
    return outcome(*learn(group, replace(recipe, model=model)))


class LayerOfRank(nn.Module):
    """Three layers, of which a process uses the one of its rank."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.rank = rank
        self.layers = nn.ModuleList([nn.Linear(2, 1, bias=False) for _ in range(3)])

    def forward(self, values: Tensor) -> Tensor:
        return self.layers[self.rank](values).sum()


def gradients(group: SingleProcess) -> Any:
    """Return the summed gradients of layers that rank 0, rank 1 or nobody has used."""
    model = LayerOfRank(group.rank)
    replica = group.replicate(model)
    torch.autograd.backward(replica(torch.full((1, 2), 1.0 + group.rank)) * group.size)
    return [weight.grad for weight in model.parameters()]


def rows(group: SingleProcess) -> Any:
    """Gather 3 rows of rank 0 and none of rank 1."""
    own = torch.arange(6.0).reshape(3, 2)[: 3 * (1 - group.rank)]
    return {
        "rows": group.gather(own),
        "texts": group.gather_objects([f"{group.rank}"] * (2 - group.rank)),
    }


def on_an_odd_clip(group: SingleProcess) -> str:
    """Learn from clips of which rank 1 has one without a number for a label."""
    recipe = debug_recipe()
    clips = some_rated(13)
    _, place, *_ = plan_epoch([clip.num_samples for clip in clips], recipe.train, 1)[0]
    clips[place] = replace(clips[place], clip_id="odd.mp4", emi=np.array([np.inf, 0], np.float32))
    return said_by(lambda: learn(group, recipe, clips=clips))


def on_too_few_clips(group: SingleProcess) -> str:
    return said_by(lambda: learn(group, debug_recipe(), num_clips=1))


def on_one_valid_clip(group: SingleProcess) -> Any:
    model = from_scratch(debug_recipe(), TARGETS)
    found = evaluate_clips(model, noisy_clips(1), device="cpu", group=group)
    return {name: asdict(figures) for name, figures in found.items()}


def on_an_odd_valid_clip(group: SingleProcess) -> str:
    clips = noisy_clips(4)
    clips[1] = replace(clips[1], clip_id="odd.mp4", emi=np.array([np.inf, 0], np.float32))
    model = from_scratch(debug_recipe(), TARGETS)
    return said_by(lambda: evaluate_clips(model, clips, device="cpu", group=group))


def said_by(refused: Callable[[], object]) -> str:
    try:
        refused()
    except TrainingError as error:
        return str(error)
    return ""


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def until_stopped(group: SingleProcess, folder: Path) -> str:
    """Train for one epoch, with the state in a folder that all processes share."""
    try:
        learn(group, debug_recipe(), journal=FolderJournal(folder), on_epoch=stop)
    except KeyboardInterrupt:
        return "stopped"
    return ""


TRAININGS: dict[str, Callable[[SingleProcess], Any]] = {
    **{loss: of_loss(loss) for loss in sorted(LOSSES)},
    "many messages": in_many_messages,
    "out of fold": out_of_fold,
}
"""What any number of processes does alike."""

MEETINGS: dict[str, Callable[[SingleProcess], Any]] = {
    "layers dropped": with_layers_dropped,
    "gradients": gradients,
    "rows": rows,
    "odd clip": on_an_odd_clip,
    "too few clips": on_too_few_clips,
    "one valid clip": on_one_valid_clip,
    "odd valid clip": on_an_odd_valid_clip,
}
"""What shows how processes meet."""


def take_part(folder: Path, rank: int, size: int) -> dict[str, Any]:
    """Return what this process finds, by name."""
    with group_of(size, rank, folder) as group:
        found = {name: act(group) for name, act in (TRAININGS | MEETINGS).items()}
        return found | {"stopped": until_stopped(group, folder / "state")}


if __name__ == "__main__":
    torch.set_num_threads(1)
    meeting, number, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.save(take_part(meeting, number, count), meeting / f"rank{number}.pt")
