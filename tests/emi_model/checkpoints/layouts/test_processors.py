"""Settings of pictures' processors: a picture is what the encoder's own processor makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import ConvNextImageProcessorPil, PoolFormerImageProcessorPil

from emi_model.architecture.encoders.pictures import Processor
from emi_model.checkpoints.layouts.hub_folder import PROCESSOR_FILE, read_processor
from emi_model.errors import CheckpointError


@pytest.mark.parametrize(
    ("processor", "settings"),
    [
        (ConvNextImageProcessorPil, {"size": {"shortest_edge": 64}, "crop_pct": 0.875}),
        (ConvNextImageProcessorPil, {"size": {"shortest_edge": 384}}),
        (PoolFormerImageProcessorPil, {}),
    ],
)
def test_a_share_of_the_picture_is_cut_out_as_there(
    processor: Any, settings: dict[str, Any], tmp_path: Path
) -> None:
    theirs = processor(**settings)
    name = processor.__name__.removesuffix("Pil")
    content = {**settings, "image_processor_type": name}
    (tmp_path / PROCESSOR_FILE).write_text(json.dumps(content))
    ours = Processor.of(read_processor(tmp_path, "x"))
    pictures = np.random.default_rng(1).integers(0, 256, (2, 112, 112, 3)).astype(np.uint8)
    found = ours.scaled(ours.sized(torch.from_numpy(pictures)))
    expected = theirs(list(pictures), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ["LevitImageProcessor", "EfficientNetImageProcessor"])
def test_a_processor_that_does_something_else_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / PROCESSOR_FILE).write_text(json.dumps({"image_processor_type": name}))
    with pytest.raises(CheckpointError, match=rf"{name}Pil does with pictures what is not written"):
        read_processor(tmp_path, "x")
