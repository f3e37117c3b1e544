"""Clips of which any modality may be absent, scored by a model that reads and sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.errors import StoreError
from emi_model.predict import Predictor
from tasks.extraction.inputs import pack
from tasks.schema.scores import EXTRACTED, scored_schema
from tasks.schema.tables import ATTRIBUTIONS, SCORES
from tasks.scoring.clip_scorer import ClipScorer
from tasks.scoring.commit import RunStamp, tables_of
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


def test_contributions_to_a_clips_scores_add_up(
    scorer: ClipScorer, make_stamp: Callable[..., RunStamp]
) -> None:
    rows = [row_of(text=TEXT, vision=faces(25, range(10, 20))), row_of(text=TEXT)]
    rows = [row | {"clip_id": name, "flags": []} for name, row in zip("ab", rows, strict=True)]
    both, words = ClipScorer(scorer.predictor, "full", raw=True, why="all")(rows)
    found = {
        (one["target"], one["kind"], one["name"], one["start_seconds"], one["end_seconds"])
        for one in both["attributions"]
    }
    parts = [
        *(("modality", name, None, None) for name in ("text", "vision")),
        *(("second", None, float(at), at + 1.0) for at in (0, 1, 4)),  # 2 s of no face between
        ("remainder", None, None, None),
    ]
    assert found == {(target, *part) for target in ("joy", "awe") for part in parts}
    for one in both["attributions"]:
        assert one["score"] == pytest.approx(both[one["target"]], abs=1e-5)
    of_words = [(one["kind"], one["name"]) for one in words["attributions"]]
    assert of_words == [("modality", "text")] * 2
    stamp = make_stamp(coverage="full", targets=TARGETS, why="all")
    clipped = ClipScorer(scorer.predictor, "full", why="all")(rows)
    assert clipped[0]["attributions"] == both["attributions"]
    tables = tables_of(pa.Table.from_pylist(clipped, scored_schema(TARGETS)), stamp)
    assert tables[ATTRIBUTIONS].num_rows == 2 * 6 + 2
    assert tables[SCORES]["why"].to_pylist() == ["all", "all"]
    clipped[1]["attributions"][0]["value"] += 0.01
    with pytest.raises(StoreError, match="contributions to joy add up to"):
        tables_of(pa.Table.from_pylist(clipped, scored_schema(TARGETS)), stamp)
    (plain,) = ClipScorer(scorer.predictor, "full", why="modalities")([rows[0]])
    assert {one["kind"] for one in plain["attributions"]} == {"modality"}
    assert scorer(rows)[0]["attributions"] == []


def test_a_clip_whose_attribution_does_not_fit_into_memory_is_rejected(
    scorer: ClipScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = ClipScorer(scorer.predictor, "full", why="all")
    fuse = scorer.predictor.model.fused

    def cramped(outputs: Any, num_clips: int) -> Any:
        if "vision" not in outputs or outputs["vision"].rows is not None:
            raise MemoryError  # as soon as a clip is to be without its pictures
        return fuse(outputs, num_clips)

    monkeypatch.setattr(scorer.predictor.model, "fused", cramped)
    (row,) = score([row_of(vision=faces(5))])
    assert (row["status"], row["reason"]) == ("rejected", "out_of_memory")
    assert (row["joy"], row["attributions"]) == (None, [])
