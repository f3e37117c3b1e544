"""The model: one pass turns a clip's inputs into EMI scores and valence-arousal-dominance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from emi_model.architecture.audio_branch import AudioBranch
from emi_model.architecture.branch import Branch, BranchOutput, Inputs, InputSpec, Padded
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused
from emi_model.architecture.fusions.predictions import PredictionFusion, Predictions
from emi_model.architecture.fusions.registry import build_fusion
from emi_model.architecture.registry import branch_class
from emi_model.devices import attention_of_any_shape
from emi_model.errors import ConfigError
from emi_model.modalities import AUDIO


@dataclass(frozen=True)
class EmiOutput:
    """The output of one forward pass for B clips of up to F frames.

    Attributes:
        emi: (B, targets), unbounded unless the config says otherwise; None without targets.
        vad_mean: (B, 3), mean over frames of the frame VAD; None without a VAD head.
        vad_of_mean: (B, 3), VAD head on the mean hidden state; None without a VAD head.
        frame_vad: (B, F, 3), VAD of each frame, zero after a clip's end; None without it.
        global_vector: (B, D), of the leading branch: for audio, the mean of the frame features.
        num_frames: int64 (B,), frames of each clip in that branch; 0 where it lacks the modality.
        predictions: of each modality by itself; None where the fusion does not weigh predictions.
    """

    emi: Tensor | None
    vad_mean: Tensor | None
    vad_of_mean: Tensor | None
    frame_vad: Tensor | None
    global_vector: Tensor
    num_frames: Tensor
    predictions: Predictions | None = None


class EmiModel(nn.Module):
    """Branches, one a modality, and a fusion of their outputs.

    With audio alone it is the model of Hallmen et al., arXiv 2403.11879. A clip's output does not
    depend on the rest of its batch. In the state dict the names of the audio branch's weights lack
    ``branches.audio``, as in every checkpoint.
    """

    def __init__(self, config: EmiConfig) -> None:
        """Build the model with fresh weights.

        Raises:
            ConfigError: a modality without a registered branch, or arguments that a branch refuses.
        """
        super().__init__()
        self.config = config
        self.branches = nn.ModuleDict(
            {
                name: branch_class(name, config.kind_of(name))(config, config.arguments_of(name))
                for name in config.branches
            }
        )
        fused = {
            name: Fused(branch.feature_size, branch.is_sequential)
            for name, branch in self.each_branch().items()
        }
        self.fusion = build_fusion(config, fused) if config.targets else None
        untyped: Any = self  # torch has no types for these two
        untyped.register_state_dict_post_hook(_shorten_names)
        untyped.register_load_state_dict_pre_hook(_lengthen_names)

    def each_branch(self) -> dict[str, Branch]:
        """Return the branches by modality, in the config's order."""
        found = dict(self.branches.items())
        return {name: branch for name, branch in found.items() if isinstance(branch, Branch)}

    @property
    def leading(self) -> str:
        """The modality whose frames the output has: audio, or the first one without audio."""
        return AUDIO if AUDIO in self.branches else next(iter(self.branches))

    @property
    def specs(self) -> dict[str, InputSpec]:
        """The input that each branch expects, by modality."""
        return {name: branch.spec for name, branch in self.each_branch().items()}

    @property
    def min_samples(self) -> int:
        """Samples at 16 kHz of the shortest clip; 1 where audio may be absent."""
        return self.specs[AUDIO].min_samples if AUDIO in self.config.required else 1

    @property
    def hidden_size(self) -> int:
        """Width of the largest matrix products of any branch."""
        return max(branch.hidden_size for branch in self.each_branch().values())

    @property
    def audio(self) -> AudioBranch:
        """The audio branch.

        Raises:
            ConfigError: the model has none, or one of another kind.
        """
        branch = self.each_branch().get(AUDIO)
        if not isinstance(branch, AudioBranch):
            raise ConfigError(f"the model has branches {list(self.branches)}: no wav2vec2 in them")
        return branch

    def forward(self, inputs: Inputs, *, backbone_dtype: torch.dtype | None = None) -> EmiOutput:
        """Score B clips.

        Args:
            inputs: by modality, prepared by its branch's ``spec``. A modality that no clip has may
                be left out, where it is optional.
            backbone_dtype: type in which the backbones compute (autocast); heads stay float32.

        Raises:
            AudioError: a clip of less than one frame.
            ConfigError: a required modality is missing.
        """
        outputs = {}
        some = next(iter(inputs.values()))
        with attention_of_any_shape(some.values.device.type):
            for name, branch in self.each_branch().items():
                found = self._encode(name, branch, inputs.get(name), backbone_dtype)
                if found is not None:
                    outputs[name] = found
            return self.fused(outputs, len(some.lengths))

    def fused(self, outputs: Mapping[str, BranchOutput], num_clips: int) -> EmiOutput:
        """Return the scores of a batch from its branches' outputs; absent modalities left out."""
        emi, predictions = None, None
        if isinstance(self.fusion, PredictionFusion):
            predictions = self.fusion.predictions(outputs, num_clips)
            emi = self.fusion.weighed(predictions)
        elif self.fusion is not None:
            emi = self.fusion(outputs, num_clips)
        extras = {
            name: output.spread(values, num_clips)
            for output in outputs.values()
            for name, values in output.extras.items()
        }
        vector, num_frames = self._leading_frames(outputs.get(self.leading), num_clips)
        return EmiOutput(
            emi=emi,
            vad_mean=extras.get("vad_mean"),
            vad_of_mean=extras.get("vad_of_mean"),
            frame_vad=extras.get("frame_vad"),
            global_vector=vector,
            num_frames=num_frames,
            predictions=predictions,
        )

    def _leading_frames(self, output: BranchOutput | None, num_clips: int) -> tuple[Tensor, Tensor]:
        if output is not None:
            vector = output.spread(output.clip_vector(), num_clips)
            return vector, output.spread(output.num_frames, num_clips)
        size = self.each_branch()[self.leading].feature_size
        # a backbone whose weights were released has none on the device
        like = next(weight for weight in self.parameters() if not weight.is_meta)
        return like.new_zeros(num_clips, size), like.new_zeros(num_clips, dtype=torch.int64)

    def _encode(
        self, name: str, branch: Branch, given: Padded | None, dtype: torch.dtype | None
    ) -> BranchOutput | None:
        """Return a branch's output for the clips that have its modality; None where none has."""
        if name in self.config.required:
            if given is None:
                raise ConfigError(
                    f"found no input for {name!r}, which this model needs of each clip"
                )
            found: BranchOutput = branch(*given, dtype=dtype)
            return found
        rows = torch.empty(0) if given is None else torch.nonzero(given.lengths).flatten()
        if given is None or not len(rows):
            return None
        found = branch(given.values[rows], given.lengths[rows], dtype=dtype)
        return found if len(rows) == len(given.lengths) else replace(found, rows=rows)


_AUDIO_PREFIX = f"branches.{AUDIO}."


def _shorten_names(_: nn.Module, state: dict[str, Any], prefix: str, __: object) -> None:
    """Leave ``branches.audio.`` out of the names in a state dict, in their order."""
    for name in list(state):
        weight = state.pop(name)
        if name.startswith(prefix + _AUDIO_PREFIX):
            name = prefix + name.removeprefix(prefix + _AUDIO_PREFIX)
        state[name] = weight


def _lengthen_names(_: nn.Module, state: dict[str, Any], prefix: str, *__: object) -> None:
    """Put ``branches.audio.`` before the names that belong to no other part of the model."""
    for name in list(state):
        own = name.removeprefix(prefix)
        if name.startswith(prefix) and not own.startswith(("branches.", "fusion.")):
            state[prefix + _AUDIO_PREFIX + own] = state.pop(name)
