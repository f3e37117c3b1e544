"""Text and vision branches of every kind: a clip's scores depend on nothing but the clip."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emi_model.architecture.branch import ClipInputs
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.encoder_branch import EncoderBranch
from emi_model.architecture.model import EmiModel
from emi_model.architecture.text_branch import TextBranch
from emi_model.arrays import Array
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from emi_model.errors import CheckpointError, ConfigError
from emi_model.predict import Predictor, Scores
from tests.emi_model.architecture.tiny_encoders import (
    TEXT_BRANCHES,
    VISION_BRANCHES,
    WORDS,
    tiny_tokenizer,
)

TARGETS = ("Joy", "Awe")
KINDS = [*zip(TEXT_BRANCHES, cycle(VISION_BRANCHES), strict=False)]
Build = Callable[..., EmiModel]


@pytest.fixture(scope="module")
def with_branches(
    tiny_backbone: Callable[..., dict[str, Any]], enliven: Callable[..., EmiModel]
) -> Build:
    def build(**branches: dict[str, Any]) -> EmiModel:
        config = EmiConfig(backbone=tiny_backbone(), targets=TARGETS, branches=branches)
        model = EmiModel(config)
        text = model.each_branch().get("text")
        if isinstance(text, TextBranch) and "tokens" not in branches["text"]:
            text.use(tiny_tokenizer())
        return enliven(model)

    return build


@pytest.fixture(scope="module")
def both(with_branches: Build) -> Callable[[str, str], tuple[Predictor, Predictor]]:
    """Return a function that returns a model of three optional modalities, and it loaded anew."""

    @cache
    def build(text: str, vision: str) -> tuple[Predictor, Predictor]:
        model = with_branches(
            audio={"optional": True},
            text={**TEXT_BRANCHES[text], "optional": True},
            vision={**VISION_BRANCHES[vision], "optional": True},
        )
        with TemporaryDirectory() as folder:
            save_checkpoint(Path(folder) / "model", model, ModelCard("three", TARGETS))
            loaded = load_checkpoint(Path(folder) / "model").model
        return Predictor(model, device="cpu"), Predictor(loaded, device="cpu")

    return build


def waveform(num_samples: int, seed: int) -> Array:
    return np.random.default_rng(seed).normal(0, 900, num_samples).astype(np.int16)


def text_of(num_words: int, seed: int) -> Array:
    words = np.random.default_rng(seed).choice(WORDS, num_words)
    return np.frombuffer(" ".join(words).encode(), np.uint8)


def faces(num_frames: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    crops = rng.integers(0, 256, (num_frames, 112, 112, 3)).astype(np.uint8)
    crops[rng.random(num_frames) < 0.3] = 0  # no face
    crops[0, 0] = 1
    return crops


SEEDS = st.integers(0, 9)
CLIPS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "audio": st.builds(waveform, st.integers(400, 9_000), SEEDS),
            "text": st.builds(text_of, st.integers(1, 40), SEEDS),
            "vision": st.builds(faces, st.integers(1, 7), SEEDS),
        },
    ).filter(bool),
    min_size=2,
    max_size=5,
)


def emi_of(found: Any) -> Array:
    assert isinstance(found, Scores)
    assert found.emi is not None
    return found.emi


@pytest.mark.parametrize(("text", "vision"), KINDS)
@given(clips=CLIPS)
@settings(max_examples=6)
def test_a_clip_alone_and_in_any_batch_of_any_modalities_saved_or_not(
    both: Callable[[str, str], tuple[Predictor, Predictor]],
    text: str,
    vision: str,
    clips: list[ClipInputs],
) -> None:
    made, loaded = both(text, vision)
    for clip, together in zip(clips, made(clips), strict=True):
        (alone,) = loaded([clip])
        assert emi_of(together) == pytest.approx(emi_of(alone), abs=1e-5)
        assert isinstance(together, Scores)
        assert (together.vad_mean is None) == ("audio" not in clip)


@pytest.mark.parametrize(
    ("modality", "kind"),
    [*(("text", kind) for kind in TEXT_BRANCHES), *(("vision", kind) for kind in VISION_BRANCHES)],
)
def test_an_encoders_output_stands_for_its_input_and_another_input_scores_otherwise(
    with_branches: Build, modality: str, kind: str
) -> None:
    arguments = {"text": TEXT_BRANCHES, "vision": VISION_BRANCHES}[modality][kind]
    model = with_branches(**{modality: {**arguments, "trained": False}})
    branch = model.each_branch()[modality]
    assert isinstance(branch, EncoderBranch)
    raw = [text_of(n, n) if modality == "text" else faces(n, n) for n in (3, 9, 5)]
    encoded = branch.encode(raw)
    assert [rows.shape[1] for rows in encoded] == [branch.feature_size] * 3
    if modality == "vision":
        assert [*map(len, encoded)] == [3, 9, 5]
        assert all(
            bool(state.any()) == bool(face.any())
            for states, crops in zip(encoded, raw, strict=True)
            for state, face in zip(states, crops, strict=True)
        )
    predictor = Predictor(model, device="cpu")
    found = predictor([{modality: one} for one in raw])
    again = predictor([{modality: one} for one in encoded])
    for one, other in zip(found, again, strict=True):
        assert emi_of(one) == pytest.approx(emi_of(other), abs=1e-5)
    assert np.abs(emi_of(found[0]) - emi_of(found[1])).max() > 1e-4


def test_a_frozen_encoder_neither_learns_nor_drops_out(with_branches: Build) -> None:
    frozen = with_branches(text={**TEXT_BRANCHES["bert"], "trained": False})
    trained = with_branches(text=TEXT_BRANCHES["bert"])
    for model, learns in ((frozen, False), (trained, True)):
        branch = model.train().each_branch()["text"]
        assert isinstance(branch, EncoderBranch)
        assert branch.training
        assert branch.encoder.training == learns
        assert {weight.requires_grad for weight in branch.encoder.parameters()} == {learns}
        tokens = torch.tensor([[1, 5, 6, 2]])
        output = branch(tokens, torch.tensor([4]))
        assert output.features.requires_grad == learns


def test_hashes_follow_all_that_decides_an_encoders_output(with_branches: Build) -> None:
    def sha256(model: EmiModel) -> str:
        (branch,) = model.each_branch().values()
        assert isinstance(branch, EncoderBranch)
        return branch.encoder_sha256()

    bert = TEXT_BRANCHES["bert"]
    vit = VISION_BRANCHES["vit"]
    small = {**vit["processor"], "resample": 3}
    same = [with_branches(text=bert), with_branches(text={**bert, "dropout": 0.5})]
    other = [
        with_branches(text={**bert, "pooling": "mean"}),
        with_branches(text={**bert, "max_tokens": 9}),
        with_branches(vision=vit),
        with_branches(vision={**vit, "processor": small}),
    ]
    changed = with_branches(text=bert)
    with torch.no_grad():
        next(iter(changed.branches["text"].encoder.parameters())).add_(1e-6)
    assert sha256(same[0]) == sha256(same[1])
    assert len({sha256(model) for model in [same[0], changed, *other]}) == 6


def test_frames_without_a_face_do_not_count(with_branches: Build) -> None:
    predictor = Predictor(with_branches(vision=VISION_BRANCHES["vit"]), device="cpu")
    crops = faces(4, 1) | 1
    holes = np.zeros((9, *crops.shape[1:]), np.uint8)
    holes[[1, 3, 4, 8]] = crops
    found, same = predictor([{"vision": crops}, {"vision": holes}])
    assert emi_of(found) == pytest.approx(emi_of(same), abs=1e-6)
    assert [found.num_frames, same.num_frames] == [4, 4]
    with pytest.raises(ConfigError, match="'vision' that holds nothing to encode"):
        predictor([{"vision": holes[:1]}])


def test_the_system_of_2024_thins_frames_out_and_reads_states_and_logits(
    with_branches: Build,
) -> None:
    model = with_branches(vision=VISION_BRANCHES["system_of_2024"])
    (branch,) = model.each_branch().values()
    crops = faces(9, 2) | 1
    pictures = torch.from_numpy(branch.spec.prepare(crops))
    thinned = crops[[0, 2, 5, 8]]  # np.linspace(0, 8, 4)
    assert np.array_equal(pictures, branch.spec.prepare(thinned))
    encoder: Any = branch.encoder
    values: Any = branch
    with torch.inference_mode():
        found = branch(pictures[None], torch.tensor([4])).features[0]
        scaled = values._processor.scaled(values._processor.sized(pictures))
        output = encoder(scaled, output_hidden_states=True)
        assert len(output.hidden_states) == 3  # the embeddings and two layers
        mean = torch.stack(output.hidden_states).mean((0, 2))
        expected = torch.cat([mean, output.logits], dim=-1)
    assert found.shape == (4, 16 + 7)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_a_text_is_cut_to_its_tokens_and_needs_a_tokenizer(
    with_branches: Build, tmp_path: Path
) -> None:
    model = with_branches(text={**TEXT_BRANCHES["bert"], "max_tokens": 5})
    (branch,) = model.each_branch().values()
    tokens = branch.spec.prepare(np.frombuffer(b"So glad to see you, odd", np.uint8))
    assert tokens.tolist() == [1, 4, 5, 6, 2]
    assert branch.spec.prepare(np.frombuffer(b"\xff very", np.uint8)).tolist()[0] == 1
    without = EmiModel(model.config)
    with pytest.raises(ConfigError, match="no tokenizer"):
        without.each_branch()["text"].spec.prepare(text_of(3, 0))
    save_checkpoint(tmp_path / "model", model, ModelCard("text", TARGETS))
    (tmp_path / "model" / "text" / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"text/tokenizer\.json: cannot be read"):
        load_checkpoint(tmp_path / "model")


@pytest.mark.parametrize(
    ("modality", "arguments", "said"),
    [
        ("text", {"encoder": "owner/name"}, "name a folder or hub id with --text-encoder"),
        ("text", {"encoder": {"model_type": "remote"}}, "never executed"),
        ("text", {"encoder": {"model_type": "t5"}}, "without a decoder"),
        ("text", {**TEXT_BRANCHES["bert"], "pooling": "last"}, "expected 'cls' or 'mean'"),
        ("text", {**TEXT_BRANCHES["bert"], "layers": 3}, r"has \['layers'\]"),
        ("text", {**TEXT_BRANCHES["bert"], "max_tokens": 1}, "max_tokens is 1"),
        ("text", {"encoder": {"model_type": "bert", "hidden_size": 7}}, "does not make a bert"),
        ("vision", {**VISION_BRANCHES["vit"], "pooling": "max"}, "expected 'mean', 'cls'"),
        ("vision", {**VISION_BRANCHES["vit"], "max_frames": 0}, "max_frames is 0"),
        ("vision", {**VISION_BRANCHES["vit"], "dropout": 1}, "dropout is 1"),
        ("vision", {**VISION_BRANCHES["keras"], "pooling": "cls"}, "expected 'mean'"),
        (
            "vision",
            {"encoder": {"model_type": "small_conv", "image_size": 8}},
            "image_size is 8, the processor's 64",
        ),
    ],
)
def test_arguments_that_make_no_branch_are_refused(
    with_branches: Build, modality: str, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        with_branches(**{modality: arguments})
