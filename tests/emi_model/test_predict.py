from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emi_model.architecture.branch import Padded
from emi_model.architecture.model import EmiModel, EmiOutput
from emi_model.audio.batching import pad
from emi_model.audio.waveform import normalise, to_float
from emi_model.engine.precision import multiplies_bf16
from emi_model.errors import AudioError, ConfigError
from emi_model.predict import MAX_BATCH_SAMPLES, MAX_STREAMED_SAMPLES, Predictor, Scores

TOLERANCE = 1e-5

BACKBONES: dict[str, dict[str, Any]] = {
    "layer norm, stable": {},
    "layer norm, post": {"do_stable_layer_norm": False},
    "group norm": {"feat_extract_norm": "group", "do_stable_layer_norm": False},
    "not for the engine": {"model_type": "hubert", "vocab_size": 32},
}
NEAR = st.builds(lambda hops, more: 400 + 320 * hops + more, st.integers(0, 12), st.integers(0, 2))
LENGTHS = st.lists(st.one_of(NEAR, st.integers(400, 5_000), st.just(400)), min_size=1, max_size=7)
BOUNDS = st.sampled_from([1, 400, 3_000, 9_000, 10**6])


@pytest.fixture(scope="module")
def predictors(tiny_model: Callable[..., EmiModel]) -> dict[str, Predictor]:
    return {
        name: Predictor(tiny_model(backbone=backbone), device="cpu", precision="fp32")
        for name, backbone in BACKBONES.items()
    }


@pytest.fixture
def predictor(tiny_model: Callable[..., EmiModel]) -> Predictor:
    return Predictor(tiny_model(), device="cpu", precision="fp32")


@torch.inference_mode()
def plain_scores(model: EmiModel, waveform: np.ndarray) -> EmiOutput:
    """What the model itself gives for one clip, without an engine or a batch."""
    values, lengths = pad([normalise(waveform)])
    return model({"audio": Padded(values, lengths)})


@pytest.mark.parametrize("name", BACKBONES)
@given(lengths=LENGTHS, bound=BOUNDS, seed=st.integers(0, 2**32 - 1))
@example(lengths=[400, 16_000, 719, 720, 401, 15_999], bound=10**6, seed=0)
def test_scores_depend_on_nothing_but_the_clip(
    predictors: dict[str, Predictor],
    noises: Callable[..., list[np.ndarray]],
    scores_of: Callable[..., dict[str, np.ndarray]],
    largest_difference: Callable[..., float],
    name: str,
    lengths: list[int],
    bound: int,
    seed: int,
) -> None:
    predictor = predictors[name]
    waveforms = noises(lengths, seed)
    together = Predictor(predictor.model, device="cpu", precision="fp32", max_batch_samples=bound)(
        waveforms
    )
    assert len(together) == len(waveforms)
    for scores, waveform in zip(together, waveforms, strict=True):
        (alone,) = predictor([waveform])
        plain = plain_scores(predictor.model, waveform)
        assert largest_difference(scores_of(alone), scores_of(plain, 0)) <= TOLERANCE
        assert scores.num_frames == alone.num_frames == (len(waveform) - 400) // 320 + 1
        assert largest_difference(scores_of(scores), scores_of(alone)) <= TOLERANCE


@settings(max_examples=15)
@given(order=st.permutations(range(5)))
def test_scores_come_in_the_order_of_the_clips(
    predictors: dict[str, Predictor],
    noises: Callable[..., list[np.ndarray]],
    scores_of: Callable[..., dict[str, np.ndarray]],
    largest_difference: Callable[..., float],
    order: list[int],
) -> None:
    waveforms = noises([8_000, 400, 3_000, 8_001, 720])
    straight = predictors["layer norm, stable"](waveforms)
    shuffled = predictors["layer norm, stable"]([waveforms[index] for index in order])
    for scores, index in zip(shuffled, order, strict=True):
        assert largest_difference(scores_of(scores), scores_of(straight[index])) <= TOLERANCE


def test_loudness_and_offset_do_not_matter(
    predictor: Predictor,
    noises: Callable[..., list[np.ndarray]],
    scores_of: Callable[..., dict[str, np.ndarray]],
    largest_difference: Callable[..., float],
) -> None:
    (noise,) = noises([6_000])
    straight, other = predictor([noise, 0.25 * noise + np.float32(0.1)])
    assert largest_difference(scores_of(straight), scores_of(other)) < 1e-3


def test_int16_and_float32_agree(
    predictor: Predictor,
    noises: Callable[..., list[np.ndarray]],
    scores_of: Callable[..., dict[str, np.ndarray]],
    largest_difference: Callable[..., float],
) -> None:
    steps = [(noise.clip(-1, 0.99) * 2**15).astype(np.int16) for noise in noises([5_000, 800])]
    from_steps = predictor(steps)
    from_floats = predictor([to_float(waveform) for waveform in steps])
    for one, other in zip(from_steps, from_floats, strict=True):
        assert largest_difference(scores_of(one), scores_of(other)) == 0


def test_shapes_and_types(predictor: Predictor, noises: Callable[..., list[np.ndarray]]) -> None:
    (scores,) = predictor(noises([16_000]))
    assert isinstance(scores, Scores)
    shapes = [
        value.shape for value in (scores.emi, scores.vad_mean, scores.vad_of_mean, scores.frame_vad)
    ]
    assert shapes == [(6,), (3,), (3,), (49, 3)]
    assert scores.global_vector.shape == (35,)
    assert scores.global_vector.dtype == scores.emi.dtype == np.float32
    assert scores.num_frames == 49


def test_what_a_model_lacks_is_none(
    tiny_model: Callable[..., EmiModel], noises: Callable[..., list[np.ndarray]]
) -> None:
    first, second = Predictor(tiny_model(targets=()), device="cpu", precision="fp32")(
        noises([800, 400])
    )
    assert (first.emi, second.emi) == (None, None)
    assert first.vad_mean.shape == (3,)
    (scores,) = Predictor(tiny_model(vad_head=False), device="cpu", precision="fp32")(noises([800]))
    assert (scores.vad_mean, scores.vad_of_mean, scores.frame_vad) == (None, None, None)
    assert scores.emi.shape == (6,)


def test_no_clips_no_scores(predictor: Predictor) -> None:
    assert predictor([]) == []
    assert predictor.padding == (0, 0)


def test_the_model_is_put_into_evaluation_mode(
    tiny_model: Callable[..., EmiModel], noises: Callable[..., list[np.ndarray]]
) -> None:
    predictor = Predictor(tiny_model().train(), device="cpu", precision="fp32")
    waveforms = noises([4_000])
    first, second = predictor(waveforms)[0], predictor(waveforms)[0]
    assert np.array_equal(first.emi, second.emi)
    assert not predictor.model.training


@pytest.mark.parametrize(
    ("waveform", "said"),
    [
        (np.zeros(0, np.int16), "0 samples, expected at least 400"),
        (np.ones(399, np.float32), "399 samples, expected at least 400"),
        (np.full(800, np.nan, np.float32), "not finite"),
        (np.full(800, np.inf, np.float32), "not finite"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    predictor: Predictor, waveform: np.ndarray, said: str
) -> None:
    with pytest.raises(AudioError, match=said):
        predictor([np.ones(800, np.float32), waveform])


def test_min_samples_is_one_frame(predictor: Predictor) -> None:
    assert predictor.min_samples == 400
    assert predictor([np.ones(400, np.int16)])[0].num_frames == 1


def test_padding_is_counted(
    tiny_model: Callable[..., EmiModel], noises: Callable[..., list[np.ndarray]]
) -> None:
    model = tiny_model(backbone=BACKBONES["not for the engine"])
    predictor = Predictor(model, device="cpu", precision="fp32", max_batch_samples=3_000)
    predictor(noises([1_000, 950, 2_000]))
    assert predictor.padding == (3_950, 4_000)
    predictor(noises([400]))
    assert predictor.padding == (4_350, 4_400)
    without = Predictor(tiny_model(), device="cpu", precision="fp32", max_batch_samples=3_000)
    without(noises([1_000, 950, 2_000]))
    assert without.padding == (3_950, 3_950)


def test_numerics_say_what_is_computed(tiny_model: Callable[..., EmiModel]) -> None:
    group = tiny_model(backbone=BACKBONES["group norm"])
    beside = "bf16" if multiplies_bf16() else "fp32"
    wanted = {"auto": "fp32", "fp32": "fp32", "bf16": "bf16", "int8": beside}
    for precision, numerics in wanted.items():
        assert Predictor(group, device="cpu", precision=precision).numerics == numerics
    assert Predictor(tiny_model(), device="cpu", precision="int8").numerics == "int8"


def test_a_group_norm_model_is_given_no_padding(
    tiny_model: Callable[..., EmiModel], noises: Callable[..., list[np.ndarray]]
) -> None:
    model = tiny_model(backbone=BACKBONES["group norm"])
    predictor = Predictor(model, device="cpu", precision="fp32")
    predictor(noises([1_000, 990, 1_000, 980]))
    assert predictor.padding == (3_970, 3_970)


def test_other_runtime_errors_are_no_want_of_memory(
    tiny_model: Callable[..., EmiModel], noises: Callable[..., list[np.ndarray]]
) -> None:
    model = tiny_model()
    model.audio.vad_head.out_proj = torch.nn.Linear(7, 3)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Predictor(model, device="cpu", precision="fp32")(noises([800]))


def test_seconds_from_the_environment_bound_a_batch(
    tiny_model: Callable[..., EmiModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    other = tiny_model(backbone=BACKBONES["not for the engine"])
    monkeypatch.delenv("EMI_BATCH_SECONDS", raising=False)
    padded = Predictor(other, device="cpu", precision="fp32")
    streamed = Predictor(model, device="cpu", precision="fp32")
    assert padded.max_batch_samples == MAX_BATCH_SAMPLES["cpu"]
    assert streamed.max_batch_samples == MAX_STREAMED_SAMPLES["cpu"]
    monkeypatch.setenv("EMI_BATCH_SECONDS", "1.5")
    assert Predictor(model, device="cpu").max_batch_samples == 24_000
    assert Predictor(model, device="cpu", max_batch_samples=7).max_batch_samples == 7


@pytest.mark.parametrize("text", ["", "a lot", "0", "-1", "nan", "inf"])
def test_seconds_that_are_none_are_refused(
    tiny_model: Callable[..., EmiModel], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("EMI_BATCH_SECONDS", text)
    with pytest.raises(ConfigError, match=f"EMI_BATCH_SECONDS is '{text}'"):
        Predictor(tiny_model(), device="cpu")
