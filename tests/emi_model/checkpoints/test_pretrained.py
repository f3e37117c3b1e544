"""Backbones of other people's models: exactly their weights, or a line that says why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Model,
)

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import UNKNOWN, ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.checkpoints.pretrained import LoadedBackbone, load_backbone
from emi_model.errors import CheckpointError, ModelNotFound
from emi_model.training.first_weights import from_backbone
from emi_model.training.recipes import Recipe, recipe_named

TARGETS = ("Joy", "Awe")
MASK_EMBEDDING = "backbone.wav2vec2.masked_spec_embed"
EXTRACTOR = Wav2Vec2FeatureExtractor(do_normalize=True, sampling_rate=16_000)
NORMS: dict[str, dict[str, Any]] = {
    "layer": {"vocab_size": 32},
    "group": {
        "vocab_size": 32,
        "feat_extract_norm": "group",
        "do_stable_layer_norm": False,
        "conv_bias": False,
    },
}
KINDS = {"ctc": Wav2Vec2ForCTC, "pretraining": Wav2Vec2ForPreTraining, "plain": Wav2Vec2Model}

Save = Callable[..., tuple[Path, Wav2Vec2Model]]


@pytest.fixture
def save(
    tmp_path: Path, tiny_backbone: Callable[..., dict[str, Any]], enliven: Callable[..., Any]
) -> Save:
    """Return a function that saves a random model as transformers does; gives its wav2vec2."""

    def saved(kind: str = "ctc", norm: str = "layer", **replaced: Any) -> tuple[Path, Any]:
        arguments = tiny_backbone(**{**NORMS[norm], **replaced})
        sizes = {"codevector_dim": 8, "proj_codevector_dim": 8, "num_codevectors_per_group": 4}
        model = enliven(KINDS[kind](Wav2Vec2Config(**arguments, **sizes)), 3)
        folder = tmp_path / "asr"
        model.save_pretrained(folder)
        return folder, model if kind == "plain" else model.wav2vec2

    return saved


@pytest.fixture
def recipe() -> Recipe:
    """Return the debug recipe, which has no SpecAugment."""
    return recipe_named("debug")


def hidden_states(model: EmiModel, waveform: np.ndarray) -> torch.Tensor:
    values = EXTRACTOR(waveform, sampling_rate=16_000, return_tensors="pt")["input_values"]
    with torch.inference_mode():
        return model.eval().audio.backbone(values, torch.tensor([len(waveform)]))


def change_weights(
    folder: Path,
    change: Callable[[dict[str, torch.Tensor]], None],
    file: str = "model.safetensors",
) -> None:
    state = load_file(folder / file)
    change(state)
    save_file(state, folder / file, metadata={"format": "pt"})


def add_one(state: dict[str, torch.Tensor]) -> None:
    for weight in state.values():
        weight += 1


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_hidden_states_are_those_of_transformers(
    kind: str, norm: str, save: Save, recipe: Recipe, noises: Callable[..., list[np.ndarray]]
) -> None:
    folder, theirs = save(kind, norm)
    loaded = load_backbone(str(folder))
    assert (loaded.name, loaded.licence, loaded.head) == ("asr", UNKNOWN, {})
    model = from_backbone(recipe, TARGETS, loaded, fresh_head=True)
    assert model.config.targets == TARGETS
    assert model.config.backbone["feat_extract_norm"] == norm
    for waveform in noises([8_000, 400]):
        values = EXTRACTOR(waveform, sampling_rate=16_000, return_tensors="pt")["input_values"]
        with torch.inference_mode():
            expected = theirs.eval()(values).last_hidden_state
        torch.testing.assert_close(hidden_states(model, waveform), expected, rtol=0, atol=1e-6)


def test_weights_that_are_divided_among_files_are_put_together(save: Save) -> None:
    folder, theirs = save("plain")
    whole = load_backbone(str(folder))
    (folder / "model.safetensors").unlink()
    theirs.save_pretrained(folder, max_shard_size="20KB")
    parts = sorted(folder.glob("model-*.safetensors"))
    assert len(parts) > 1
    found = load_backbone(str(folder))
    assert found.weights.keys() == whole.weights.keys()
    assert all(torch.equal(found.weights[name], whole.weights[name]) for name in whole.weights)
    change_weights(folder, add_one, parts[-1].name)
    assert load_backbone(str(folder)).sha256 != found.sha256
    parts[0].unlink()
    with pytest.raises(CheckpointError, match=rf"{parts[0].name}: cannot be read as safetensors"):
        load_backbone(str(folder))
    for index in ("{", "[]", '{"weight_map": {"a": "../b.safetensors"}}'):
        (folder / "model.safetensors.index.json").write_text(index)
        with pytest.raises(CheckpointError, match=r"model\.safetensors\.index\.json: "):
            load_backbone(str(folder))


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_both_spellings_of_the_positional_convolution(file: str, save: Save) -> None:
    folder, theirs = save()
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    spellings = {"parametrizations.weight.original0": "weight_g"}
    spellings["parametrizations.weight.original1"] = "weight_v"
    for one, other in spellings.items():
        (name,) = (name for name in state if name.endswith((one, other)))
        swapped = name.replace(one, other) if name.endswith(one) else name.replace(other, one)
        state[swapped] = state.pop(name)
    (save_file if file == "model.safetensors" else torch.save)(state, folder / file)
    found = load_backbone(str(folder)).weights
    assert found.keys() == {f"backbone.wav2vec2.{name}" for name in theirs.state_dict()}
    for name, weight in theirs.state_dict().items():
        assert torch.equal(found[f"backbone.wav2vec2.{name}"], weight)


class TestVadHead:
    def test_a_new_one_must_be_asked_for(self, save: Save, recipe: Recipe) -> None:
        loaded = load_backbone(str(save()[0]))
        with pytest.raises(CheckpointError, match=r"newly initialised.*vad_head"):
            from_backbone(recipe, TARGETS, loaded)
        one, same = (from_backbone(recipe, TARGETS, loaded, fresh_head=True) for _ in range(2))
        assert torch.equal(one.audio.vad_head.dense.weight, same.audio.vad_head.dense.weight)
        without = replace(recipe, model=replace(recipe.model, vad_head=False))
        assert from_backbone(without, TARGETS, loaded).audio.vad_head is None

    @pytest.mark.parametrize("fresh_head", [False, True])
    def test_one_that_is_there_is_taken(
        self, fresh_head: bool, tmp_path: Path, tiny_model: Callable[..., EmiModel], recipe: Recipe
    ) -> None:
        model = tiny_model()
        card = ModelCard("mine", model.config.targets, "a/b", "CC-BY-4.0")
        save_checkpoint(tmp_path / "mine", model, card)
        loaded = load_backbone(str(tmp_path / "mine"))
        assert (loaded.name, loaded.licence) == ("mine", "CC-BY-4.0")
        found = from_backbone(recipe, TARGETS, loaded, fresh_head=fresh_head).state_dict()
        for name, weight in model.state_dict().items():
            assert name.startswith("fusion.") or torch.equal(found[name], weight)

    def test_that_of_a_vad_model(
        self, tmp_path: Path, tiny_backbone: Callable[..., dict[str, Any]], recipe: Recipe
    ) -> None:
        folder = tmp_path / "vad"
        folder.mkdir()
        labels = {"0": "arousal", "1": "dominance", "2": "valence"}
        config = {"model_type": "wav2vec2", "id2label": labels, **tiny_backbone()}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "README.md").write_text("---\nlicense: cc-by-nc-sa-4.0\n---\n")
        state = EmiModel(EmiConfig(backbone=tiny_backbone(), targets=())).state_dict()
        names = {"backbone.": "", "vad_head.": "classifier."}
        for ours, theirs in names.items():
            state = {name.replace(ours, theirs, 1): weight for name, weight in state.items()}
        save_file(
            {k: weight.contiguous() for k, weight in state.items()}, folder / "model.safetensors"
        )
        loaded = load_backbone(str(folder))
        assert loaded.licence == "cc-by-nc-sa-4.0"
        assert {name.partition(".")[2] for name in loaded.head} == {
            f"{layer}.{weight}" for layer in ("dense", "out_proj") for weight in ("weight", "bias")
        }
        assert from_backbone(recipe, TARGETS, loaded).audio.vad_head is not None


class TestMaskedFrames:
    @pytest.fixture
    def unmasked(self, save: Save) -> LoadedBackbone:
        """Return a backbone as facebook/wav2vec2-large-960h is: SpecAugment on, no embedding."""
        folder, _ = save(mask_time_prob=0.05, apply_spec_augment=True)
        change_weights(folder, lambda state: state.pop("wav2vec2.masked_spec_embed"))
        return load_backbone(str(folder))

    def test_without_their_embedding_nothing_is_masked(
        self, unmasked: LoadedBackbone, recipe: Recipe
    ) -> None:
        assert unmasked.would_mask
        assert not unmasked.has_mask_embedding
        silent = replace(recipe, model=EmiConfig())  # says nothing of SpecAugment
        model = from_backbone(silent, TARGETS, unmasked, fresh_head=True)
        assert MASK_EMBEDDING not in model.state_dict()
        assert model.config.backbone["mask_time_prob"] == 0

    def test_a_recipe_that_needs_it_is_refused(self, unmasked: LoadedBackbone) -> None:
        masking = recipe_named("debug+spec_augment")
        with pytest.raises(CheckpointError, match="recipe without SpecAugment"):
            from_backbone(masking, TARGETS, unmasked, fresh_head=True)

    def test_with_it_the_recipe_decides(self, save: Save) -> None:
        loaded = load_backbone(str(save(mask_time_prob=0.0)[0]))
        assert not loaded.would_mask  # and transformers leaves the embedding out
        folder, _ = save(mask_time_prob=0.05)
        loaded = load_backbone(str(folder))
        assert loaded.would_mask
        assert loaded.has_mask_embedding
        model = from_backbone(recipe_named("debug+spec_augment"), TARGETS, loaded, fresh_head=True)
        assert model.config.backbone["mask_time_prob"] == 0.065
        assert torch.equal(model.state_dict()[MASK_EMBEDDING], loaded.weights[MASK_EMBEDDING])


class TestRefused:
    @pytest.mark.parametrize("kind", ["unispeech", "ser", None])
    def test_what_is_of_no_family_here(self, kind: str | None, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
        with pytest.raises(
            CheckpointError, match=f"model_type is {kind!r}, expected one of wav2vec2, "
        ):
            load_backbone(str(tmp_path))

    def test_a_missing_a_superfluous_and_a_misshapen_weight(self, save: Save) -> None:
        folder, _ = save()

        def damage(state: dict[str, torch.Tensor]) -> None:
            del state["wav2vec2.encoder.layer_norm.bias"]
            state["wav2vec2.encoder.layer_norm.weight"] = torch.zeros(3)
            state["wav2vec2.adapter.weight"] = torch.zeros(3)

        change_weights(folder, damage)
        with pytest.raises(CheckpointError) as caught:
            load_backbone(str(folder))
        said = str(caught.value)
        assert "1 weights missing (would be newly initialised)" in said
        assert "1 weights not of this architecture" in said
        assert "1 weights of another shape" in said
        assert len(said.splitlines()) == 1

    def test_no_model_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound, match=r"holds no config\.json"):
            load_backbone(str(tmp_path))


def test_the_hash_names_what_was_read(save: Save) -> None:
    folder, _ = save()
    before = load_backbone(str(folder)).sha256
    change_weights(folder, lambda state: state["wav2vec2.encoder.layer_norm.bias"].add_(1))
    assert load_backbone(str(folder)).sha256 != before
