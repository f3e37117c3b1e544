"""Pictures resized in whole numbers against PIL's own, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from emi_model.architecture.encoders.pictures import Processor
from emi_model.architecture.encoders.resizing import FILTERS, grey, resized_as_pil

PICTURES = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3)).astype(np.uint8)


@pytest.mark.parametrize("resample", FILTERS)
@pytest.mark.parametrize("side", [(224, 224), (48, 64), (112, 37)])
def test_to_the_bit_as_pil(resample: int, side: tuple[int, int]) -> None:
    found = resized_as_pil(torch.from_numpy(PICTURES), side, resample)
    width_first = (side[1], side[0])
    filters = Image.Resampling(resample)
    for picture, ours in zip(PICTURES, found.numpy(), strict=True):
        theirs = np.asarray(Image.fromarray(picture).resize(width_first, filters))
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(
    "content",
    [
        {"size": 48, "grey": True},
        {"size": {"shortest_edge": 130}, "crop_size": 101, "do_center_crop": True, "resample": 3},
        {"do_resize": False},
    ],
)
def test_a_gpu_s_way_gives_the_pictures_of_the_processor(content: dict[str, object]) -> None:
    processor = Processor.of(content)
    pictures = torch.from_numpy(PICTURES)
    assert torch.equal(processor._resized_there(pictures), processor.sized(pictures))
    assert processor._is_known
    assert not Processor.of({"size": 48, "resample": 5})._is_known
    assert grey(pictures).shape == (2, 112, 112, 1)
