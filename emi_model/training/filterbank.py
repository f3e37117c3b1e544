"""First weights for the first convolution: band-pass filters that cover the range of speech."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from emi_model.architecture.backbones.convolutional import ConvolutionalBackbone
from emi_model.architecture.model import EmiModel
from emi_model.audio.features.frames import mel_frequencies
from emi_model.errors import ConfigError
from emi_model.units import SAMPLING_RATE

PHASES = 4
"""Filters of one band, a quarter of a period apart: rectified, they follow its envelope."""

LOWEST_HZ, HIGHEST_HZ = 60.0, 7600.0
"""Where the bands' triangles begin and end."""

BIAS_SPREAD = 0.02
"""Standard deviation of the biases: in silence, layer norm divides by little more than them."""


def initialise_filterbank(model: EmiModel) -> None:
    """Give the first convolution Gabor filters, spaced in mel, as its first weights.

    A few hundred labelled clips are too few to find such filters from noise. They are trained like
    any other weight. After SincNet (arXiv 1808.00158) and LEAF (arXiv 2101.08596).

    Raises:
        ConfigError: a first layer whose channels are no multiple of `PHASES`, no audio branch, or
            a backbone whose first layer is no convolution of the waveform.
    """
    backbone = model.audio.backbone
    if not isinstance(backbone, ConvolutionalBackbone):
        raise ConfigError(
            f"a {backbone.model_type} backbone has no convolutions of the waveform: leave out the "
            "recipe's filterbank"
        )
    conv = backbone.model.feature_extractor.conv_layers[0].conv
    num_filters, _, kernel = conv.weight.shape
    if num_filters % PHASES:
        raise ConfigError(
            f"the first convolution has {num_filters} channels, expected a multiple of {PHASES}: "
            "correct conv_dim, or leave its first weights random"
        )
    with torch.no_grad():
        conv.weight.copy_(gabor_filters(num_filters // PHASES, kernel)[:, None])
        if conv.bias is not None:
            conv.bias.normal_(std=BIAS_SPREAD)


def gabor_filters(num_bands: int, kernel: int) -> Tensor:
    """Return float32 (num_bands * PHASES, kernel), the phases of one band after each other.

    A cosine under a Gaussian, as wide in frequency as half the distance of the band's neighbours,
    but no narrower than the kernel can resolve. Norms grow with the root of the frequency,
    against the fall of speech towards high frequencies.
    """
    seconds = (torch.arange(kernel) - (kernel - 1) / 2) / SAMPLING_RATE
    centres = mel_frequencies(num_bands + 2, LOWEST_HZ, HIGHEST_HZ)
    filters = []
    for low, centre, high in zip(centres, centres[1:], centres[2:], strict=False):
        width = max((high - low) / 2, SAMPLING_RATE / kernel)
        envelope = torch.exp(-0.5 * (seconds * width / 0.33).square())
        for phase in range(PHASES):
            angle = 2 * math.pi * (centre * seconds + phase / PHASES)
            wave = envelope * torch.cos(angle)
            wave = wave - envelope * (wave.mean() / envelope.mean())  # so that a constant gives 0
            filters.append(wave / wave.norm() * math.sqrt(centre / 1000))
    return torch.stack(filters)
