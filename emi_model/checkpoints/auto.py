"""This project's models in `transformers.AutoConfig` and `AutoModel`, once this file is imported.

import emi_model.checkpoints.auto
model = AutoModel.from_pretrained("demo/model")
model(waveforms).emi  # (B, targets)
"""

from __future__ import annotations

from dataclasses import fields
from os import PathLike
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from emi_model.architecture.branch import Padded
from emi_model.architecture.config import MODEL_TYPE, EmiConfig
from emi_model.architecture.model import EmiModel, EmiOutput
from emi_model.audio.waveform import check_waveform
from emi_model.checkpoints.load import load_model
from emi_model.errors import AudioError, CheckpointError
from emi_model.modalities import AUDIO


class AutoEmiConfig(PretrainedConfig):  # type: ignore[no-untyped-call]
    """The content of a checkpoint's config.json, as transformers holds it."""

    model_type = MODEL_TYPE


class AutoEmiModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    """An `EmiModel` that `AutoModel` can load; it takes waveforms.

    Attributes:
        emi_model: the model itself.
    """

    config_class = AutoEmiConfig
    main_input_name = "waveforms"

    def __init__(self, config: AutoEmiConfig, emi_model: EmiModel | None = None) -> None:
        """Take a model, or build one with fresh weights."""
        super().__init__(config)
        self.emi_model = emi_model or EmiModel(EmiConfig.from_dict(_own(config)))

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, reference: str | PathLike[str], *_: Any, config: AutoEmiConfig | None = None, **__: Any
    ) -> AutoEmiModel:
        """Load a checkpoint in evaluation mode; its weights must fit exactly.

        Args:
            reference: a folder, or the id of a model on the hub.
            config: that was read from it.

        Raises:
            CheckpointError: it holds no usable model of this project.
        """
        model = load_model(str(reference)).model
        if not model.config.targets:
            raise CheckpointError(f"{reference}: gives VAD alone: load it with `load_model`")
        loaded = cls(config or AutoEmiConfig(**model.config.to_dict()), model)
        loaded.train(mode=False)
        return loaded

    def forward(self, waveforms: Tensor, num_samples: Tensor | None = None) -> EmiOutput:
        """Score B clips; a clip's output does not depend on the rest of its batch.

        Args:
            waveforms: float32 (B, S), 16 kHz mono, in [-1, 1].
            num_samples: int64 (B,), samples of each clip; default: all of S.

        Raises:
            AudioError: waveforms of another shape or not finite, or a clip of less than one frame.
            ConfigError: the model does not hear.
        """
        if waveforms.ndim != 2:
            raise AudioError(f"found waveforms of shape {tuple(waveforms.shape)}, expected (B, S)")
        lengths = (
            [waveforms.shape[1]] * len(waveforms) if num_samples is None else num_samples.tolist()
        )
        prepare = self.emi_model.audio.spec.prepare
        prepared = torch.zeros_like(waveforms)
        for row, length in enumerate(lengths):
            own = waveforms[row, :length].detach().cpu().numpy()
            check_waveform(own)
            prepared[row, :length] = torch.from_numpy(prepare(own)).to(waveforms.device)
        sizes = torch.tensor(lengths, device=waveforms.device)
        found: EmiOutput = self.emi_model({AUDIO: Padded(prepared, sizes)})
        return found


def _own(config: AutoEmiConfig) -> dict[str, Any]:
    """Return what config.json holds, without what transformers adds."""
    names = {"sampling_rate", *(field.name for field in fields(EmiConfig))}
    found = {name: value for name, value in config.to_dict().items() if name in names}
    return found | {"model_type": MODEL_TYPE}


AutoConfig.register(MODEL_TYPE, AutoEmiConfig)
AutoModel.register(AutoEmiConfig, AutoEmiModel)
