"""Floating-point operations of a model, computed from its config, to compare with a machine's peak.

A product of a matrix (a, b) with one (b, c) counts 2abc, one multiplication and one addition a
term, as `torch.utils.flop_counter` counts. Norms, activations and softmax are left out: they are
under one in a hundred.
"""

from __future__ import annotations

from dataclasses import dataclass

from emi_model.architecture.backbones.families import DEFAULT_FAMILY
from emi_model.architecture.backbones.registry import backbone_config, family_of
from emi_model.architecture.config import EmiConfig
from emi_model.errors import ConfigError
from emi_model.targets import VAD_DIMENSIONS

NUM_GATES = 4
"""Gates of an LSTM cell."""


@dataclass(frozen=True)
class Flops:
    """Floating-point operations of one clip, by part of the model.

    Attributes:
        conv: the stack of convolutions that turns samples into frames.
        projection: from its channels to the hidden size.
        positional: the positional convolution.
        linear: the linear layers of the encoder.
        attention: queries by keys, weights by values: quadratic in the frames.
        vad_head: on every frame and on the mean frame.
        lstm: the LSTM of the fusion.
        fusion: the layers behind it.
    """

    conv: int
    projection: int
    positional: int
    linear: int
    attention: int
    vad_head: int
    lstm: int
    fusion: int

    @property
    def backbone(self) -> int:
        """Operations of the backbone alone."""
        return self.conv + self.projection + self.positional + self.linear + self.attention

    @property
    def total(self) -> int:
        """All operations."""
        return self.backbone + self.vad_head + self.lstm + self.fusion


class FlopCounter:
    """Counts the operations of a model's clips."""

    def __init__(self, config: EmiConfig) -> None:
        """Take the model's architecture.

        Raises:
            ConfigError: the backbone is no wav2vec2 model.
        """
        family = family_of(config.backbone).model_type
        if family != DEFAULT_FAMILY:
            raise ConfigError(
                f"found a {family} backbone, can count those of {DEFAULT_FAMILY} alone"
            )
        self._config = config
        self._backbone = backbone_config(config.backbone)

    def __call__(self, num_samples: int) -> Flops:
        """Count the operations of one clip of ``num_samples``, alone and without padding."""
        backbone, config = self._backbone, self._config
        layers = zip(backbone.conv_kernel, backbone.conv_stride, backbone.conv_dim, strict=True)
        conv, channels, frames = 0, 1, num_samples
        for kernel, stride, width in layers:
            frames = max(0, (frames - kernel) // stride + 1)
            conv += 2 * frames * kernel * channels * width
            channels = width
        hidden, depth = backbone.hidden_size, backbone.num_hidden_layers
        per_group = hidden // backbone.num_conv_pos_embedding_groups
        taps = backbone.num_conv_pos_embeddings
        positions = frames + (taps % 2 == 0)  # an even kernel gives one more, which is cut off
        return Flops(
            conv=conv,
            projection=2 * frames * channels * hidden,
            positional=2 * positions * hidden * per_group * taps,
            linear=depth * 2 * frames * (4 * hidden**2 + 2 * hidden * backbone.intermediate_size),
            attention=depth * 4 * frames**2 * hidden,
            vad_head=_vad_head(config, frames),
            lstm=_lstm(config, frames),
            fusion=_fusion(config),
        )


def _vad_head(config: EmiConfig, frames: int) -> int:
    if not config.vad_head:
        return 0
    hidden = config.hidden_size
    return 2 * (frames + 1) * hidden * (hidden + len(VAD_DIMENSIONS))


def _lstm(config: EmiConfig, frames: int) -> int:
    if not (config.targets and config.lstm):
        return 0
    both = 2 * config.feature_size  # the layer's input, and the state of the step before
    return config.lstm_layers * frames * 2 * NUM_GATES * config.feature_size * both


def _fusion(config: EmiConfig) -> int:
    if not config.targets:
        return 0
    width = config.fusion_size
    return 2 * width * (config.num_targets + (width if config.regression_head else 0))
