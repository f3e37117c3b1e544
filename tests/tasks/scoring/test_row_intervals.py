"""What a calibrated model adds to a row: the ends of its intervals, and what trained it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.metadata import ModelMetadata
from emi_model.metrics.conformal import Intervals
from emi_model.predict import Predictor
from tasks.corpus.listing import clip_file
from tasks.extraction.inputs import pack
from tasks.schema.scores import EXTRACTED, scored_schema
from tasks.schema.tables import SCORES
from tasks.scoring.clip_scorer import ClipScorer
from tasks.scoring.commit import RunStamp, tables_of
from tasks.scoring.reuse import reuse
from tasks.store.store import ResultsStore
from tasks.store.views import connect
from tests.tiny import BACKBONE

TARGETS = ("Awe", "Sheer Joy", "Pain")
INTERVALS = Intervals(0.9, {"Awe": 0.25, "Sheer Joy": 0.1, "Pain": None}, 50)
BOUNDS = ("awe_low", "awe_high", "sheer_joy_low", "sheer_joy_high")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = EmiModel(EmiConfig(backbone=BACKBONE, targets=TARGETS, clip_seconds=1.0))
    model.fusion.layers[-1].bias.data = torch.tensor([0.1, 2.0, 0.5])  # type: ignore[union-attr]
    return Predictor(model, device="cpu", precision="fp32")


def extracted(seconds: float) -> dict[str, Any]:
    noise = np.random.default_rng(0).normal(0, 3_000, int(16_000 * seconds)).astype(np.int16)
    known = {"clip_id": "a.mp4", "uri": "file:///a.mp4", "status": "scored", "flags": []}
    return {**dict.fromkeys(EXTRACTED.names), **known, "inputs": [pack("audio", noise)]}


def test_ends_stand_around_the_score_inside_the_range(predictor: Predictor) -> None:
    (row,) = ClipScorer(predictor, "first", intervals=INTERVALS)([extracted(1.0)])
    assert row["awe_low"] == pytest.approx(max(row["awe"] - 0.25, 0))
    assert row["awe_high"] == pytest.approx(row["awe"] + 0.25)
    assert (row["sheer_joy"], row["sheer_joy_high"]) == (1.0, 1.0)
    assert row["sheer_joy_low"] == pytest.approx(0.9)
    assert (row["pain_low"], row["pain_high"]) == (None, None)
    assert pa.Table.from_pylist([row], scored_schema(TARGETS)).num_rows == 1


@pytest.mark.parametrize(
    ("seconds", "coverage", "there"),
    [(2.0, "first", False), (2.0, "full", False), (0.5, "full", True)],
)
def test_they_hold_for_one_window(
    seconds: float, coverage: Any, there: bool, predictor: Predictor
) -> None:
    (row,) = ClipScorer(predictor, coverage, intervals=INTERVALS)([extracted(seconds)])
    assert row["awe"] is not None
    assert all((row[bound] is not None) is there for bound in BOUNDS)


def test_raw_scores_rejections_and_models_without_calibration_have_none(
    predictor: Predictor,
) -> None:
    for scorer, row in (
        (ClipScorer(predictor, "first", raw=True, intervals=INTERVALS), extracted(1.0)),
        (ClipScorer(predictor, "first", intervals=INTERVALS), extracted(0.01)),
        (ClipScorer(predictor, "first"), extracted(1.0)),
    ):
        (scored,) = scorer([row])
        assert [scored[bound] for bound in BOUNDS] == [None] * 4


def test_a_row_says_what_training_used_its_content_for(
    store: ResultsStore,
    make_rows: Callable[..., pa.Table],
    make_stamp: Callable[..., RunStamp],
    tmp_path: Path,
) -> None:
    clips = {"train": ("of a.mp4", "of z.mp4"), "valid": ("of b.mp4",)}
    card = ModelCard("tiny", TARGETS)
    model = ModelMetadata(config=EmiConfig(), card=card, sha256="00", training_clips=clips)
    splits = model.training_splits
    stamp = make_stamp(training_splits=splits)
    both = [make_rows("a.mp4", "b.mp4", "c.mp4"), make_rows("d.mp4", content_sha256=None)]
    store.commit("one", tables_of(pa.concat_tables(both), stamp))
    (tmp_path / "copy.mp4").write_bytes(b"content")
    copy = clip_file("copy.mp4", bytes(tmp_path / "copy.mp4"))
    reuse(store, [(copy, "a.mp4")], make_stamp(run_id="run2", training_splits=splits))
    with connect(store.location) as connection:
        found = connection.sql(f"SELECT clip_id, training_split FROM {SCORES}").fetchall()
        unseen = connection.sql("SELECT clip_id FROM unseen_scores").fetchall()
    assert dict(found) == {
        "a.mp4": "train",
        "b.mp4": "valid",
        "c.mp4": None,
        "d.mp4": None,
        "copy.mp4": "train",
    }
    assert {clip_id for (clip_id,) in unseen} == {"b.mp4", "c.mp4", "d.mp4"}
