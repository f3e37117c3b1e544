"""Two made modalities, a vector and a sequence, and clips that have any subset of three."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emi_model.architecture.branch import Branch, BranchOutput, InputSpec
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.registry import register_branch
from emi_model.arrays import Array
from emi_model.training.clips import LabelledClip
from emi_model.training.recipes import recipe_named

TARGETS = ("Noise", "Tone")
FACTS, PATH = "facts", "path"
WIDTH = 4


def _unchanged(values: Array) -> Array:
    return values


class MadeBranch(Branch):
    """A linear layer over entries (N, 4)."""

    def __init__(self, config: EmiConfig, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.feature_size = self.hidden_size = arguments["width"]
        self.layer = nn.Linear(WIDTH, self.feature_size)
        self.spec = InputSpec(min_length=1, prepare=_unchanged)

    def forward(
        self, values: Tensor, lengths: Tensor, *, dtype: torch.dtype | None = None
    ) -> BranchOutput:
        return BranchOutput(torch.tanh(self.layer(values)), lengths)


@register_branch(FACTS)
class FactsBranch(MadeBranch):
    """A clip's facts, which have no order."""

    is_sequential = False


@register_branch(PATH)
class PathBranch(MadeBranch):
    """A clip's path, a sequence."""


def made_config(fusion: Mapping[str, Any] | None, **fields: Any) -> EmiConfig:
    """Return a tiny model of audio, and of facts and a path that a clip may lack."""
    branches = {
        "audio": {},
        FACTS: {"width": 6, "optional": True},
        PATH: {"width": 5, "optional": True},
    }
    config = replace(recipe_named("debug").model, targets=TARGETS, branches=branches)
    return replace(config, fusion=fusion, **fields)


def made_clips(num_clips: int, *, seed: int = 0, num_speakers: int = 4) -> list[LabelledClip]:
    """Return clips whose facts give the labels; their voice is noise, as is their path.

    Of eight clips one lacks the facts, one the path, one both.
    """
    rng = np.random.default_rng(seed)
    clips = []
    for index in range(num_clips):
        share = rng.uniform()
        facts = rng.standard_normal((1, WIDTH)) / 4
        facts[0, 0] = 2 * share - 1
        inputs: dict[str, Array] = {
            "audio": (3000 * rng.standard_normal(int(rng.integers(800, 2000)))).astype(np.int16),
            FACTS: facts.astype(np.float32),
            PATH: rng.standard_normal((int(rng.integers(1, 6)), WIDTH)).astype(np.float32),
        }
        for name in {1: (FACTS,), 3: (PATH,), 6: (FACTS, PATH)}.get(index % 8, ()):
            del inputs[name]
        clips.append(
            LabelledClip(
                f"{index}.mp4",
                inputs,
                np.array([share, 1 - share], np.float32),
                speaker=f"s{index % num_speakers}" if num_speakers else "",
            )
        )
    return clips


def inputs_of(clips: Sequence[LabelledClip]) -> list[Mapping[str, Array]]:
    """Return the clips' inputs."""
    return [clip.inputs for clip in clips]
