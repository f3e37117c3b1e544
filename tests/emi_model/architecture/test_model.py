"""The model's own forward; the first tests here are why the project exists."""

from __future__ import annotations

import itertools
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
from emi_model.audio.waveform import normalise
from emi_model.errors import AudioError
from emi_model.targets import EMI_TARGETS

TOLERANCE = 1e-5

BACKBONES: dict[str, dict[str, Any]] = {
    "layer norm, stable": {},
    "layer norm, post": {"do_stable_layer_norm": False},
    "odd positional kernel": {"num_conv_pos_embeddings": 15, "num_conv_pos_embedding_groups": 1},
    "default positional kernel": {
        "num_conv_pos_embeddings": 128,
        "num_conv_pos_embedding_groups": 16,
    },
    "group norm": {"feat_extract_norm": "group", "do_stable_layer_norm": False},
}
BOUNDARIES = st.builds(
    lambda hops, offset: 400 + 320 * hops + offset, st.integers(0, 20), st.integers(0, 2)
)
LENGTHS = st.lists(
    st.one_of(BOUNDARIES, BOUNDARIES.map(lambda length: max(400, length - 2)), st.just(400)),
    min_size=1,
    max_size=5,
)
ONE_FRAME_BESIDE_LONG = [400, 16_000, 719, 720, 400, 9_999]


@pytest.fixture(scope="module")
def models(tiny_model: Callable[..., EmiModel]) -> dict[str, EmiModel]:
    return {name: tiny_model(backbone=backbone) for name, backbone in BACKBONES.items()}


def heard(waveforms: torch.Tensor, num_samples: torch.Tensor) -> dict[str, Padded]:
    """Return normalised waveforms (B, S) as the inputs of a model that hears alone."""
    return {"audio": Padded(waveforms, num_samples)}


def forward(model: EmiModel, waveforms: list[np.ndarray], behind: int = 0) -> EmiOutput:
    """Score normalised waveforms as one batch, with more zeros behind all of them if wanted."""
    batch, num_samples = pad([normalise(waveform) for waveform in waveforms])
    with torch.inference_mode():
        return model(heard(torch.nn.functional.pad(batch, (0, behind)), num_samples))


@pytest.mark.parametrize("name", BACKBONES)
@given(lengths=LENGTHS, seed=st.integers(0, 2**32 - 1), behind=st.sampled_from([0, 1, 5_000]))
@example(lengths=ONE_FRAME_BESIDE_LONG, seed=0, behind=0)
@example(lengths=[400, 401, 719], seed=0, behind=0)  # one frame each, of different lengths
def test_a_clip_scores_the_same_in_every_batch(
    models: dict[str, EmiModel],
    noises: Callable[..., list[np.ndarray]],
    scores_of: Callable[..., dict[str, np.ndarray]],
    largest_difference: Callable[..., float],
    name: str,
    lengths: list[int],
    seed: int,
    behind: int,
) -> None:
    waveforms = noises(lengths, seed)
    together = forward(models[name], waveforms, behind)
    for row, waveform in enumerate(waveforms):
        alone = scores_of(forward(models[name], [waveform]), 0)
        assert largest_difference(scores_of(together, row), alone) <= TOLERANCE


@pytest.mark.parametrize("name", BACKBONES)
def test_twelve_seconds_beside_one_frame(
    models: dict[str, EmiModel],
    noises: Callable[..., list[np.ndarray]],
    scores_of: Callable[..., dict[str, np.ndarray]],
    largest_difference: Callable[..., float],
    name: str,
) -> None:
    waveforms = noises([192_000, 400, 100_001])
    together = forward(models[name], waveforms)
    assert together.num_frames.tolist() == [599, 1, 312]
    for row, waveform in enumerate(waveforms):
        alone = scores_of(forward(models[name], [waveform]), 0)
        assert largest_difference(scores_of(together, row), alone) <= TOLERANCE


@pytest.fixture(scope="module")
def in_order(
    models: dict[str, EmiModel], noises: Callable[..., list[np.ndarray]]
) -> tuple[list[np.ndarray], dict[str, EmiOutput]]:
    """Return six clips and, by model, what they score in their own order."""
    waveforms = noises([400, 5_000, 719, 720, 400, 3_333])
    return waveforms, {name: forward(model, waveforms) for name, model in models.items()}


@pytest.mark.parametrize("name", BACKBONES)
@settings(max_examples=15)
@given(order=st.permutations(range(6)))
def test_order_does_not_matter(
    models: dict[str, EmiModel],
    in_order: tuple[list[np.ndarray], dict[str, EmiOutput]],
    scores_of: Callable[..., dict[str, np.ndarray]],
    largest_difference: Callable[..., float],
    name: str,
    order: list[int],
) -> None:
    waveforms, straight = in_order[0], in_order[1][name]
    shuffled = forward(models[name], [waveforms[index] for index in order])
    for row, index in enumerate(order):
        difference = largest_difference(scores_of(shuffled, row), scores_of(straight, index))
        assert difference <= TOLERANCE


@pytest.mark.parametrize("name", BACKBONES)
def test_silence_is_no_exception(
    models: dict[str, EmiModel],
    noises: Callable[..., list[np.ndarray]],
    scores_of: Callable[..., dict[str, np.ndarray]],
    largest_difference: Callable[..., float],
    name: str,
) -> None:
    silence = np.zeros(2_000, np.float32)
    together = scores_of(forward(models[name], [*noises([9_000]), silence]), 1)
    alone = scores_of(forward(models[name], [silence]), 0)
    assert largest_difference(together, alone) <= TOLERANCE


@pytest.mark.parametrize("name", BACKBONES)
def test_these_models_would_show_it(
    models: dict[str, EmiModel],
    noises: Callable[..., list[np.ndarray]],
    scores_of: Callable[..., dict[str, np.ndarray]],
    name: str,
) -> None:
    """Padding that is taken for sound must move every value a thousand times the tolerance."""
    waveforms = noises([6_000, 16_000])
    together = scores_of(forward(models[name], waveforms), 0)
    batch, num_samples = pad([normalise(waveform) for waveform in waveforms])
    with torch.inference_mode():
        deceived = models[name](heard(batch, torch.full_like(num_samples, batch.shape[1])))
    for value, found in scores_of(deceived, 0).items():
        moved = np.abs(found[: len(together[value])] - together[value]).max()
        assert moved > 1_000 * TOLERANCE, value


@pytest.mark.parametrize("name", BACKBONES)
def test_vad_mean_and_vad_of_mean_are_what_their_names_say(
    models: dict[str, EmiModel], noises: Callable[..., list[np.ndarray]], name: str
) -> None:
    model = models[name]
    batch, num_samples = pad([normalise(noise) for noise in noises([8_000, 3_000])])
    with torch.inference_mode():
        output = model(heard(batch, num_samples))
        hidden = model.audio.backbone(batch, num_samples)
        assert model.audio.vad_head is not None
        for row, frames in enumerate(output.num_frames.tolist()):
            own = hidden[row, :frames]
            frame_vad = model.audio.vad_head(own)
            expected = {
                "frame_vad": frame_vad,
                "vad_mean": frame_vad.mean(dim=0),
                "vad_of_mean": model.audio.vad_head(own.mean(dim=0)),
                "global_vector": torch.cat([own, frame_vad], dim=-1).mean(dim=0),
            }
            for value, wanted in expected.items():
                found = getattr(output, value)[row]
                found = found[:frames] if value == "frame_vad" else found
                torch.testing.assert_close(found, wanted, rtol=0, atol=TOLERANCE)
            assert not output.frame_vad[row, frames:].any()
    assert (output.vad_mean - output.vad_of_mean).abs().amax(dim=1).min() > 100 * TOLERANCE


def test_one_frame_has_one_vad(
    models: dict[str, EmiModel], noises: Callable[..., list[np.ndarray]]
) -> None:
    output = forward(models["layer norm, stable"], noises([400]))
    assert output.frame_vad.shape == (1, 1, 3)
    torch.testing.assert_close(output.vad_mean, output.vad_of_mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(output.vad_mean, output.frame_vad[:, 0], rtol=0, atol=1e-6)


SWITCHES = [
    dict(zip(("vad_head", "global_vector", "lstm", "regression_head"), values, strict=True))
    for values in itertools.product([True, False], repeat=4)
]
LEGAL = [
    {**switches, "targets": targets}
    for switches, targets in itertools.product(SWITCHES, [EMI_TARGETS, ("Awe", "Joy"), ()])
    if (not targets or switches["global_vector"] or switches["lstm"])
    and (targets or switches["vad_head"])
]


@pytest.mark.parametrize(
    "fields", LEGAL, ids=lambda fields: "-".join(name for name, on in fields.items() if on)
)
def test_every_legal_ablation_gives_what_it_says(
    tiny_model: Callable[..., EmiModel],
    noises: Callable[..., list[np.ndarray]],
    fields: dict[str, Any],
) -> None:
    model = tiny_model(backbone={"num_hidden_layers": 1}, lstm_layers=1, **fields)
    output = forward(model, noises([1_500, 400]))
    assert output.num_frames.tolist() == [4, 1]
    assert output.global_vector.shape == (2, 35 if fields["vad_head"] else 32)
    if fields["vad_head"]:
        shapes = [output.vad_mean.shape, output.vad_of_mean.shape, output.frame_vad.shape]
        assert shapes == [(2, 3), (2, 3), (2, 4, 3)]
    else:
        assert (output.vad_mean, output.vad_of_mean, output.frame_vad) == (None, None, None)
    if fields["targets"]:
        assert output.emi.shape == (2, len(fields["targets"]))
        assert (output.emi[0] - output.emi[1]).abs().max() > 1e-3
    else:
        assert output.emi is None


@pytest.mark.parametrize("lengths", [[399], [16_000, 399], [0, 400]])
def test_less_than_a_frame_is_refused(models: dict[str, EmiModel], lengths: list[int]) -> None:
    batch = torch.zeros(len(lengths), max(lengths))
    with pytest.raises(AudioError, match=f"{min(lengths)} samples, expected at least 400"):
        models["layer norm, stable"](heard(batch, torch.tensor(lengths)))


def test_heads_stay_in_float32_under_a_lower_backbone(
    models: dict[str, EmiModel], noises: Callable[..., list[np.ndarray]]
) -> None:
    model = models["layer norm, stable"]
    batch, num_samples = pad([normalise(noise) for noise in noises([8_000, 3_000])])
    with torch.inference_mode():
        full = model(heard(batch, num_samples))
        lower = model(heard(batch, num_samples), backbone_dtype=torch.bfloat16)
    held = (lower.emi, lower.vad_mean, lower.vad_of_mean, lower.frame_vad, lower.global_vector)
    assert {value.dtype for value in held} == {torch.float32}
    assert not torch.equal(lower.emi, full.emi)
    torch.testing.assert_close(lower.emi, full.emi, rtol=0, atol=0.1)


def test_every_weight_learns(
    tiny_model: Callable[..., EmiModel], noises: Callable[..., list[np.ndarray]]
) -> None:
    """No weight lies idle in the full model, but for what masks frames in SpecAugment."""
    model = tiny_model()
    batch, num_samples = pad([normalise(noise) for noise in noises([8_000, 3_000])])
    model(heard(batch, num_samples)).emi.square().sum().backward()
    idle = [
        name
        for name, weight in model.named_parameters()
        if weight.grad is None or not weight.grad.any()
    ]
    assert idle == ["branches.audio.backbone.wav2vec2.masked_spec_embed"]


@pytest.mark.parametrize("norm", ["layer", "group"])
@pytest.mark.parametrize("lengths", [[400], [3_279, 400], [3_280], [16_000, 400]])
def test_clips_too_short_for_spec_augment_train_all_the_same(
    tiny_model: Callable[..., EmiModel],
    noises: Callable[..., list[np.ndarray]],
    norm: str,
    lengths: list[int],
) -> None:
    """SpecAugment masks 10 frames at a time; where there are fewer, transformers raises."""
    model = tiny_model(backbone={"feat_extract_norm": norm, "mask_time_prob": 0.5}).train()
    output = model(heard(*pad([normalise(noise) for noise in noises(lengths)])))
    assert output.emi.shape == (len(lengths), 6)
    assert output.emi.isfinite().all()


def test_spec_augment_masks_where_it_can(
    tiny_model: Callable[..., EmiModel], noises: Callable[..., list[np.ndarray]]
) -> None:
    still = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0}
    still |= {"feat_proj_dropout": 0.0, "final_dropout": 0.0, "layerdrop": 0.0}
    model = tiny_model(backbone={**still, "mask_time_prob": 0.5})
    moved = {}
    for length in (3_279, 3_280):  # 9 frames, 10 frames
        batch, num_samples = pad([normalise(noise) for noise in noises([length])])
        with torch.inference_mode():
            learning = model.train()(heard(batch, num_samples)).emi
            moved[length] = float(
                (learning - model.eval()(heard(batch, num_samples)).emi).abs().max()
            )
    assert moved[3_279] < TOLERANCE
    assert moved[3_280] > 100 * TOLERANCE
