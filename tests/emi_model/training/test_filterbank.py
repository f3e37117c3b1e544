from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from emi_model.errors import ConfigError
from emi_model.training.filterbank import HIGHEST_HZ, LOWEST_HZ, PHASES, gabor_filters
from emi_model.training.first_weights import from_scratch
from emi_model.training.recipes import recipe_named
from emi_model.units import SAMPLING_RATE

NUM_BANDS, KERNEL = 40, 256
NUM_BINS = 4096


def spectra() -> torch.Tensor:
    return torch.fft.rfft(gabor_filters(NUM_BANDS, KERNEL), NUM_BINS).abs()


def test_bands_rise_from_the_lowest_to_the_highest_frequency() -> None:
    peaks = spectra()[::PHASES].argmax(dim=1) * SAMPLING_RATE / NUM_BINS
    assert (peaks.diff() > 0).all()
    assert peaks[0] > LOWEST_HZ
    assert peaks[-1] < HIGHEST_HZ
    steps = peaks.diff()
    assert steps[-1] > 3 * steps[10]  # wider apart where the ear tells less


def test_filters_are_deaf_to_a_constant_and_rise_with_the_root_of_the_frequency() -> None:
    filters = gabor_filters(NUM_BANDS, KERNEL)
    assert filters.sum(dim=1).abs().max() < 1e-4
    peaks = spectra().argmax(dim=1) * SAMPLING_RATE / NUM_BINS
    squares = filters.square().sum(dim=1)
    assert torch.allclose(squares, peaks / 1000, rtol=0.1, atol=0.05)


def test_the_phases_of_a_band_give_its_envelope() -> None:
    filters = gabor_filters(NUM_BANDS, KERNEL)[20 * PHASES : 21 * PHASES]
    hertz = float(torch.fft.rfft(filters[0], NUM_BINS).abs().argmax()) * SAMPLING_RATE / NUM_BINS
    seconds = torch.arange(4000) / SAMPLING_RATE
    tone = torch.sin(2 * torch.pi * hertz * seconds)
    heard = torch.nn.functional.conv1d(tone[None, None], filters[:, None])[0]
    loudness = heard.square().sum(dim=0)
    assert loudness.std() < 0.05 * loudness.mean()


def test_a_recipe_with_a_filterbank_starts_with_it_and_trains_it() -> None:
    recipe = recipe_named("paper_small")
    model = from_scratch(recipe, ("Joy",))
    conv = model.audio.backbone.wav2vec2.feature_extractor.conv_layers[0].conv
    assert torch.equal(conv.weight[:, 0], gabor_filters(NUM_BANDS, KERNEL))
    assert conv.weight.requires_grad
    again = from_scratch(recipe, ("Joy",))
    assert all(
        torch.equal(one, other)
        for one, other in zip(model.parameters(), again.parameters(), strict=True)
    )
    plain = from_scratch(replace(recipe, filterbank=False), ("Joy",))
    other = plain.audio.backbone.wav2vec2.feature_extractor.conv_layers[0].conv
    assert not torch.equal(conv.weight, other.weight)


def test_channels_that_make_no_bands_are_refused() -> None:
    recipe = recipe_named("paper_small")
    backbone = {**recipe.model.backbone, "conv_dim": [161, 96, 96]}
    odd = replace(recipe, model=replace(recipe.model, backbone=backbone))
    with pytest.raises(ConfigError, match="161 channels, expected a multiple of 4"):
        from_scratch(odd, ("Joy",))
