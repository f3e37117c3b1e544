"""Fusions of predictions: a head for each modality, and weights between their outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from emi_model.architecture.branch import BranchOutput
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused, Fusion
from emi_model.architecture.fusions.paper import PaperFusion


class Predictions(NamedTuple):
    """What each modality by itself predicts for B clips.

    Attributes:
        values: (B, modalities, targets), NaN where a clip lacks the modality.
        amounts: (B, modalities), ``log(1 + frames)``, how much there is of it; 0: it is absent.
    """

    values: Tensor
    amounts: Tensor


class PredictionFusion(Fusion):
    """Weighs the predictions of heads that each see one modality.

    A modality's head is that of the paper, of this modality alone. The heads learn each from its
    own error. The weights between them are fitted on predictions for clips that the heads did not
    learn from (`emi_model.training.out_of_fold`): on the training clips a head that memorises
    would get the whole weight. For each target they are 0 or more and sum to 1 over the modalities
    that a clip has.
    """

    def __init__(self, config: EmiConfig, branches: Mapping[str, Fused]) -> None:
        """Build the heads with fresh weights."""
        super().__init__(config)
        self.modalities = tuple(branches)
        self.heads = nn.ModuleDict(
            {
                name: PaperFusion(
                    replace(config, branches={name: {}}, fusion=None), {name: branches[name]}
                )
                for name in branches
            }
        )

    def logits(self, predictions: Predictions) -> Tensor:
        """Return (B, modalities, targets), unbounded, of which the weights are the softmax."""
        raise NotImplementedError

    def weighing(self) -> list[nn.Parameter]:
        """Return the parameters of the weights, which are fitted apart from the heads."""
        return [weight for name, weight in self.named_parameters() if not name.startswith("heads.")]

    def forward(self, outputs: Mapping[str, BranchOutput], num_clips: int) -> Tensor:
        """Return (num_clips, targets) from the branches' outputs; see `Fusion`."""
        return self.weighed(self.predictions(outputs, num_clips))

    def weighed(self, predictions: Predictions) -> Tensor:
        """Return (B, targets), the weighted sum of the predictions."""
        return (self.weights(predictions) * predictions.values.nan_to_num()).sum(dim=1)

    def weights(self, predictions: Predictions) -> Tensor:
        """Return (B, modalities, targets), 0 where absent, of sum 1 over the modalities."""
        absent = predictions.values.isnan()
        return self.logits(predictions).masked_fill(absent, -torch.inf).softmax(dim=1)

    def predictions(self, outputs: Mapping[str, BranchOutput], num_clips: int) -> Predictions:
        """Return what each modality predicts; arguments as those of `forward`."""
        found = [self._predicted(name, outputs.get(name), num_clips) for name in self.modalities]
        return Predictions(*(torch.stack(parts, dim=1) for parts in zip(*found, strict=True)))

    def _predicted(
        self, name: str, output: BranchOutput | None, num_clips: int
    ) -> tuple[Tensor, Tensor]:
        like = next(self.heads.parameters())
        nothing = like.new_full((num_clips, self.num_targets), torch.nan), like.new_zeros(num_clips)
        if output is None:
            return nothing
        emi = self.heads[name]({name: replace(output, rows=None)}, len(output.num_frames))
        amounts = torch.log1p(output.num_frames.to(like.dtype))
        if output.rows is None:
            return emi, amounts
        rows = output.rows
        return nothing[0].index_copy(0, rows, emi), nothing[1].index_copy(0, rows, amounts)
