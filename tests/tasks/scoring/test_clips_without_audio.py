"""Clips of which any modality may be absent, scored by a model that reads and sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.predict import Predictor
from tasks.extraction.inputs import pack
from tasks.schema.scores import EXTRACTED, scored_schema
from tasks.scoring.clip_scorer import ClipScorer
from tests.emi_model.architecture.tiny_encoders import TEXT_BRANCHES, VISION_BRANCHES

Row = dict[str, Any]
TARGETS = ("Joy", "Awe")


@pytest.fixture(scope="module")
def scorer() -> ClipScorer:
    """A model with windows of 2 s, which are 10 frames."""
    torch.manual_seed(0)
    branches = {
        "text": {**TEXT_BRANCHES["hashed_words"], "optional": True},
        "vision": {**VISION_BRANCHES["small_conv"], "optional": True},
    }
    config = EmiConfig(targets=TARGETS, branches=branches, clip_seconds=2.0)
    return ClipScorer(Predictor(EmiModel(config), device="cpu", precision="fp32"), "full", raw=True)


def row_of(**inputs: NDArray[Any]) -> Row:
    row: Row = dict.fromkeys(EXTRACTED.names)
    packed = [pack(modality, values) for modality, values in inputs.items()]
    return row | {"clip_id": "a.mp4", "uri": "file:///a.mp4", "status": "scored", "inputs": packed}


def faces(num_frames: int, *without: range) -> NDArray[np.uint8]:
    crops = np.random.default_rng(num_frames).integers(1, 256, (num_frames, 112, 112, 3))
    for stretch in without:
        crops[stretch] = 0
    return crops.astype(np.uint8)


TEXT = np.frombuffer(b"so glad to see you", np.uint8)


def test_windows_follow_the_frames_and_those_without_a_face_lack_them(scorer: ClipScorer) -> None:
    seen = faces(25, range(10, 20))
    rows = [row_of(text=TEXT, vision=seen), row_of(vision=seen), row_of(text=TEXT)]
    both, sight, words = scorer(rows)
    assert [both["status"], sight["status"], words["status"]] == ["scored"] * 3
    assert pa.Table.from_pylist([both, sight, words], scored_schema(TARGETS)).num_rows == 3
    ends = [(window["start_seconds"], window["end_seconds"]) for window in both["windows"]]
    assert ends == [(0.0, 2.0), (2.0, 4.0), (4.0, 5.0)]
    # a text belongs to no time: without a face the window is that of the text alone
    assert both["windows"][1]["joy"] == pytest.approx(words["windows"][0]["joy"], abs=1e-6)
    assert both["windows"][0]["joy"] != pytest.approx(words["windows"][0]["joy"], abs=1e-4)
    assert [window["start_seconds"] for window in sight["windows"]] == [0.0, 4.0]
    assert (words["scored_seconds"], sight["scored_seconds"], both["scored_seconds"]) == (2, 3, 5)
    assert [row["arousal"] for row in (both, sight, words)] == [None] * 3


def test_a_clip_without_anything_to_encode_is_rejected(scorer: ClipScorer) -> None:
    (row,) = scorer([row_of(vision=faces(5, range(5)))])
    assert (row["status"], row["reason"]) == ("rejected", "too_short")
    assert "5 of vision" in row["detail"]
