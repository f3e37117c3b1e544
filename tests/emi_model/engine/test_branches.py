"""The engine beside other branches: scores are those of the model itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from emi_model.architecture.branch import collate
from emi_model.architecture.model import EmiModel, EmiOutput
from emi_model.arrays import Array
from emi_model.engine.branches import BranchedModel
from emi_model.engine.choose import choose_engine
from emi_model.engine.model import RaggedModel
from emi_model.engine.precision import multiplies_bf16
from emi_model.errors import AudioError
from emi_model.predict import Predictor
from tests.emi_model.architecture.tiny_encoders import TEXT_BRANCHES, VISION_BRANCHES, WORDS

OTHERS = {"text": TEXT_BRANCHES["hashed_words"], "vision": VISION_BRANCHES["small_conv"]}
NAMES = ("audio", *OTHERS)
SUBSETS = [some for count in (1, 2, 3) for some in combinations(NAMES, count)]


@pytest.fixture(scope="module")
def several(tiny_model: Callable[..., EmiModel]) -> Callable[..., EmiModel]:
    """Return a function that builds a model which hears, reads and sees, by its fusion."""

    def build(fusion: str, *, optional: bool = True, **others: Any) -> EmiModel:
        given: Mapping[str, Any] = {"audio": {}, **OTHERS}
        branches = {name: {**given[name], "optional": optional} for name in NAMES}
        return tiny_model(branches=branches, fusion={"name": fusion}, **others)

    return build


def clips_with(subsets: Sequence[Sequence[str]]) -> list[dict[str, Array]]:
    """Return clips of several lengths, in no order, each with some modalities."""
    draw = np.random.default_rng(0)
    clips = []
    for place, subset in enumerate(subsets):
        samples = 400 + 1_700 * (place * 5 % 7)
        inputs: dict[str, Array] = {
            "audio": (3_000 * draw.standard_normal(samples)).astype(np.int16),
            "text": np.frombuffer(" ".join(draw.choice(WORDS, 2 + place % 4)).encode(), np.uint8),
            "vision": draw.integers(1, 255, (1 + place % 3, 112, 112, 3), np.uint8),
        }
        clips.append({name: inputs[name] for name in subset})
    return clips


def plain_output(model: EmiModel, clips: Sequence[Mapping[str, Array]]) -> EmiOutput:
    """What the model itself gives, without an engine."""
    prepared = [
        {name: model.specs[name].prepare(values) for name, values in clip.items()} for clip in clips
    ]
    output: EmiOutput = model(collate(prepared, [*model.specs]))
    return output


@torch.inference_mode()
@pytest.mark.parametrize("fusion", ["paper", "concat", "text_anchored", "gated"])
def test_in_float32_every_output_is_the_model_s(
    several: Callable[..., EmiModel], fusion: str
) -> None:
    model = several(fusion)
    engine = BranchedModel(model, torch.float32)
    for subsets in (SUBSETS, [("text",), ("vision", "text")], [NAMES] * 3):
        clips = clips_with(subsets)
        found, wanted = engine(clips), plain_output(model, clips)
        assert torch.allclose(found.emi, wanted.emi, atol=1e-5)
        assert found.num_frames.tolist() == wanted.num_frames.tolist()
        rows = [row for row, clip in enumerate(clips) if "audio" in clip]
        if rows:
            assert torch.allclose(found.vad_mean[rows], wanted.vad_mean[rows], atol=1e-5)


@torch.inference_mode()
def test_silence_of_numbers_is_refused(several: Callable[..., EmiModel]) -> None:
    engine = BranchedModel(several("concat", optional=False), torch.float32)
    clip = {**clips_with([NAMES])[0], "audio": np.full(500, np.nan, np.float32)}
    with pytest.raises(AudioError):
        engine([clip])


def test_the_engine_runs_what_it_can(
    several: Callable[..., EmiModel], tiny_model: Callable[..., EmiModel]
) -> None:
    for precision in ("fp32", "bf16"):
        assert isinstance(choose_engine(tiny_model(), precision)[1], RaggedModel)
    assert isinstance(
        choose_engine(tiny_model(fusion={"name": "concat"}), "bf16")[1], BranchedModel
    )
    assert isinstance(choose_engine(several("gated"), "bf16")[1], BranchedModel)
    assert isinstance(choose_engine(several("gated"), "fp32")[1], BranchedModel)
    numerics, engine = choose_engine(several("gated"), "int8")
    assert numerics == ("bf16" if multiplies_bf16() else "fp32")
    assert isinstance(engine, BranchedModel)
    kept = tiny_model(branches={"audio": {"trained": False}})
    kept.audio.keep_outputs(kept=True)
    assert choose_engine(kept, "fp32") == ("fp32", None)
    norms_over_time = {"feat_extract_norm": "group", "do_stable_layer_norm": False}
    for precision in ("fp32", "bf16"):
        other = several("gated", backbone=norms_over_time)
        assert choose_engine(other, precision) == (precision, None)


def test_bfloat16_stays_near_float32_on_any_subset(several: Callable[..., EmiModel]) -> None:
    model = several("concat")
    clips = clips_with(SUBSETS)
    exact = Predictor(model, precision="fp32", device="cpu")(clips)
    lower = Predictor(model, precision="bf16", device="cpu")(clips)
    apart = [
        np.abs(one.emi - other.emi).max()
        for one, other in zip(lower, exact, strict=True)
        if not isinstance(one, Exception) and not isinstance(other, Exception)
    ]
    assert len(apart) == len(clips)
    assert max(apart) < 0.05  # weights of tiny models are large here
