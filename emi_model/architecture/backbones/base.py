"""The base of every audio backbone: how clips of several lengths share a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from emi_model.architecture.branch import frame_mask
from emi_model.arrays import Array
from emi_model.audio.waveform import as_float, normalise
from emi_model.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

MAX_LAYERS = "max_layers"
"""Argument of any backbone: the layers above so many are left out, with their weights."""

OWN_ARGUMENTS = ("do_normalize", "silence_seconds", MAX_LAYERS)
"""Arguments of a backbone that its ``transformers`` config does not have."""


class FrameGeometry:
    """Frames of stacked windows: ``F = floor((S - kernel) / stride) + 1`` layer by layer."""

    def __init__(self, kernels: Sequence[int], strides: Sequence[int]) -> None:
        """Store the layers' kernels and strides, in samples of each layer's input."""
        self.layers = tuple(zip(kernels, strides, strict=True))

    def num_frames(self, num_samples: Tensor) -> Tensor:
        """Return the frames of clips of ``num_samples``, int64 of the same shape, 0 or more."""
        for kernel, stride in self.layers:
            num_samples = torch.div(num_samples - kernel, stride, rounding_mode="floor") + 1
            num_samples = num_samples.clamp(min=0)
        return num_samples

    @property
    def min_samples(self) -> int:
        """Samples of one frame, its receptive field: 400 for the standard stack."""
        samples = 1
        for kernel, stride in reversed(self.layers):
            samples = (samples - 1) * stride + kernel
        return samples

    @property
    def hop_samples(self) -> int:
        """Samples from one frame's start to the next: 320 for the standard stack."""
        hop = 1
        for _, stride in self.layers:
            hop *= stride
        return hop


class Backbone(nn.Module):
    """A pretrained model's encoder whose output does not depend on the batch.

    A subclass is one family; its ``transformers`` model is the submodule named ``prefix``.

    Attributes:
        model_type: of the family's config.json.
        config_class: of the family in ``transformers``.
        prefix: of the names of its weights.
        has_mask_embedding: SpecAugment replaces masked frames by a weight, ``masked_spec_embed``.
        config: the checked config.
        geometry: frames of a clip.
        hidden_size: width of the hidden states.
        head_dropout: dropout of heads on the hidden states.
        needs_equal_lengths: a mask would not be exact: clips of one length share a call.
        max_samples: samples of the longest clip that it can encode; None: any.
    """

    model_type: ClassVar[str]
    config_class: ClassVar[type[PreTrainedConfig]]
    prefix: ClassVar[str]
    has_mask_embedding: ClassVar[bool] = True

    config: Any
    geometry: FrameGeometry
    hidden_size: int
    head_dropout: float
    needs_equal_lengths: bool = False
    max_samples: int | None = None

    @classmethod
    def checked_config(cls, arguments: Mapping[str, Any]) -> Any:
        """Return the ``transformers`` config of a backbone's arguments.

        Raises:
            ConfigError: no model of this family accepts them, or it cannot be exact here.
        """
        from huggingface_hub.errors import StrictDataclassError

        own = {name: value for name, value in arguments.items() if name not in OWN_ARGUMENTS}
        try:
            config = cls.config_class(**own)
        except (TypeError, ValueError, StrictDataclassError) as error:
            message = " ".join(str(error).split())
            raise ConfigError(
                f"backbone config is no {cls.model_type} config: {message}"
            ) from error
        if getattr(config, "add_adapter", False):
            raise ConfigError(
                f"backbone has add_adapter, expected a {cls.model_type} model without an adapter"
            )
        cls.refuse(config)
        most = arguments.get(MAX_LAYERS)
        if most is not None:
            if type(most) is not int or most < 1:
                raise ConfigError(f"backbone.{MAX_LAYERS} is {most!r}, expected 1 or more")
            config.num_hidden_layers = min(config.num_hidden_layers, most)
        return config

    @classmethod
    def arguments_of(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments to build a backbone with from a published model's config.json."""
        return dict(config)

    @classmethod
    def weights_of(cls, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a published model's backbone, their names without its prefix.

        A model with a head of its own has the prefix before the backbone's names; heads are left
        out. A backbone alone has no prefix.
        """
        start = f"{cls.prefix}."
        if not any(name.startswith(start) for name in state):
            return dict(state)
        return {
            name.removeprefix(start): weight
            for name, weight in state.items()
            if name.startswith(start)
        }

    @classmethod
    def refuse(cls, config: Any) -> None:
        """Raise `ConfigError` for configs that would not be exact."""

    @classmethod
    def geometry_of(cls, config: Any) -> FrameGeometry:
        """Return the frames of a config's model."""
        raise NotImplementedError

    def prepare(self, waveform: Array) -> Array:
        """Return the backbone's input, float32 (samples,), of a waveform, int16 or float32."""
        raise NotImplementedError

    def encode(self, waveforms: Tensor, num_samples: Tensor | None) -> Tensor:
        """Return hidden states (B, F, hidden), arbitrary after each clip's end.

        Args:
            waveforms: float32 (B, S), zeros after each clip's end.
            num_samples: int64 (B,), samples of each clip; None: all are S long.
        """
        raise NotImplementedError

    def freeze_first_layers(self, *, frozen: bool) -> None:
        """Freeze the layers next to the input, or unfreeze them."""
        raise NotImplementedError

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> Tensor:
        """Return hidden states (B, F, hidden) of waveforms (B, S), zero after each clip's end.

        Args:
            waveforms: float32, as ``prepare`` returns them, zeros after each clip's end.
            num_samples: int64 (B,), samples of each clip, at least one frame.
        """
        longest = int(num_samples.max())
        waveforms = waveforms[:, :longest]
        if bool((num_samples == longest).all()):
            return self.encode(waveforms, None)
        if self.needs_equal_lengths:
            return self._encode_by_length(waveforms, num_samples)
        hidden = self.encode(waveforms, num_samples)
        num_frames = self.geometry.num_frames(num_samples)
        return hidden * frame_mask(num_frames, hidden.shape[1])[..., None]

    def _encode_by_length(self, waveforms: Tensor, num_samples: Tensor) -> Tensor:
        lengths: list[int] = torch.unique(num_samples).tolist()
        parts, rows = [], []
        for length in lengths:
            chosen = torch.nonzero(num_samples == length).flatten()
            parts.append(self.encode(waveforms[chosen, :length], None))
            rows.append(chosen)
        num_frames = max(part.shape[1] for part in parts)
        padded = [nn.functional.pad(part, (0, 0, 0, num_frames - part.shape[1])) for part in parts]
        return torch.cat(padded)[torch.argsort(torch.cat(rows))]


def built(model: type[nn.Module], config: Any) -> Any:
    """Return a ``transformers`` model with fresh weights.

    Raises:
        ConfigError: the config makes none, such as by an unknown activation.
    """
    try:
        return model(config)
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"backbone config does not make a {config.model_type} model: {error}"
        ) from error


def zero_mean_unit_variance(waveform: Array) -> Array:
    """Return a waveform with zero mean and unit variance, float32."""
    return normalise(as_float(waveform))
