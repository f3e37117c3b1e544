"""The loss of a batch: of the targets, of VAD, of each modality's head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emi_model.architecture.branch import Inputs
from emi_model.architecture.model import EmiModel
from emi_model.training.config import TrainConfig
from emi_model.training.group import SingleProcess
from emi_model.training.objective.losses import LOSSES, mse_loss


class BatchLoss(nn.Module):
    """The loss of a batch that the processes of a group share.

    torch's DistributedDataParallel finds the weights without a gradient (those of the VAD head in
    a batch without ratings) from what a module returns, so the module returns the loss.
    """

    def __init__(self, model: EmiModel, config: TrainConfig, group: SingleProcess) -> None:
        """Take a model with targets."""
        super().__init__()
        self._model = model
        self._config = config
        self._group = group

    def forward(
        self, inputs: Inputs, labels: Tensor, rated: Tensor, weights: Tensor, *, mixed: bool
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of the whole batch, a scalar, and the EMI outputs of the own clips.

        Args:
            inputs: of this process's clips.
            labels: (b, targets), NaN where one is missing.
            rated: (b, 3) VAD, NaN where one is missing.
            weights: (b,), how much each clip counts; (0,): all the same.
            mixed: let the backbone compute in float16.
        """
        dtype = torch.float16 if mixed else None
        output = self._model(inputs, backbone_dtype=dtype)
        assert output.emi is not None, "a model without targets has been refused"
        gather = self._group.gather
        labels = gather(labels.to(output.emi))
        counts = gather(weights) if len(weights) else None
        if output.predictions is None:
            loss = LOSSES[self._config.loss](gather(output.emi), labels, counts)
        else:
            loss = self._of_heads(gather(output.predictions.values), labels, counts)
        emi = output.emi.detach()
        if not self._config.vad_loss_weight or output.vad_mean is None:
            return loss, emi
        vad, ratings = gather(output.vad_mean), gather(rated.to(output.vad_mean))
        if bool(ratings.isnan().all()):
            return loss, emi
        return loss + self._config.vad_loss_weight * mse_loss(vad, ratings), emi

    def _of_heads(self, values: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        """Return the mean loss of the modalities' own predictions (B, modalities, targets)."""
        losses = [
            LOSSES[self._config.loss](
                own.nan_to_num(), labels.masked_fill(own.isnan(), torch.nan), weights
            )
            for own in values.unbind(dim=1)
        ]
        return torch.stack(losses).mean()
