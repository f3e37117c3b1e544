"""Pictures against the processors of `transformers` that work on PIL."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import BitImageProcessorPil, CLIPImageProcessorPil, ViTImageProcessorPil

from emi_model.architecture.encoders.pictures import Processor
from emi_model.errors import ConfigError


@pytest.mark.parametrize(
    ("reference", "settings"),
    [
        (ViTImageProcessorPil, {}),
        (ViTImageProcessorPil, {"size": {"height": 40, "width": 24}, "resample": 3}),
        (CLIPImageProcessorPil, {}),
        (BitImageProcessorPil, {"size": {"shortest_edge": 256}}),  # as DINOv2 has it
        (ViTImageProcessorPil, {"do_normalize": False, "do_resize": False}),
    ],
)
def test_values_are_those_of_the_encoders_own_processor(
    reference: Any, settings: dict[str, Any]
) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3)).astype(np.uint8)
    theirs = reference(**settings)
    ours = Processor.of(theirs.to_dict())
    found = ours.scaled(torch.from_numpy(ours.resized(pictures)))
    expected = theirs(list(pictures), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_a_grey_picture_has_one_channel() -> None:
    pictures = np.full((2, 112, 112, 3), (255, 0, 0), np.uint8)
    processor = Processor.of({"size": 64, "grey": True})
    small = processor.resized(pictures)
    assert small.shape == (2, 64, 64, 1)
    assert set(small.ravel()) == {76}  # 0.299 of the full brightness
    values = processor.scaled(torch.from_numpy(small))
    assert values.shape == (2, 1, 64, 64)
    assert float(values.mean()) == pytest.approx(2 * 76 / 255 - 1, abs=1e-6)
    assert processor.resized(pictures[:0]).shape == (0, 112, 112, 1)


def test_sizes_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected height and width, or shortest_edge"):
        Processor.of({"size": {"longest_edge": 99}})
    with pytest.raises(ConfigError, match="expected within the size"):
        Processor.of({"size": 20, "do_center_crop": True, "crop_size": 30})
