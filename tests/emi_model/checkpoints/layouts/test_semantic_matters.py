"""The state dict of 2025 against its forward pass, written apart; and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import ViTConfig, ViTModel

from emi_model.arrays import Array
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.checkpoints.layouts.semantic_matters import (
    Parts,
    load_imported,
    load_semantic_matters,
)
from emi_model.checkpoints.load import load_model
from emi_model.errors import CheckpointError, ConfigError
from emi_model.predict import Predictor, Scores
from tests.emi_model.architecture.tiny_encoders import WORDS, tiny_tokenizer
from tests.emi_model.checkpoints.layouts.authors_of_2025 import TEXT, VIDEO_WIDTH, SemanticMatters

SECONDS = (0.4, 2.0, 1.3)


@dataclass
class World:
    """Their model with its state dict on a disk, and the parts that are not in it."""

    theirs: SemanticMatters
    path: Path
    parts: Parts
    vit: ViTModel


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_backbone: Callable[..., dict[str, Any]],
    enliven: Callable[..., Any],
) -> World:
    root = tmp_path_factory.mktemp("authors of 2025")
    arguments = tiny_backbone()
    theirs = enliven(SemanticMatters(arguments)).eval()
    for name in ("backbone", "text"):
        (root / name).mkdir()
    (root / "backbone" / "config.json").write_text(
        json.dumps({"model_type": "wav2vec2", **arguments})
    )
    text = {
        "model_type": "new",
        "vocab_size": TEXT["words"],
        "hidden_size": TEXT["hidden"],
        "num_hidden_layers": TEXT["layers"],
        "num_attention_heads": TEXT["heads"],
        "intermediate_size": TEXT["inner"],
        "type_vocab_size": 0,
        "rope_theta": TEXT["theta"],
    }
    (root / "text" / "config.json").write_text(json.dumps(text))
    tiny_tokenizer().save(str(root / "text" / "tokenizer.json"))
    config = ViTConfig(
        hidden_size=VIDEO_WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        image_size=16,
        patch_size=8,
    )
    vit = enliven(ViTModel(config, add_pooling_layer=False)).eval()
    vit.save_pretrained(root / "vit")
    settings = {"image_processor_type": "ViTImageProcessor", "size": {"height": 16, "width": 16}}
    (root / "vit" / "preprocessor_config.json").write_text(
        json.dumps({**settings, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2})
    )
    torch.save(theirs.state_dict(), root / "best.pth")
    parts = Parts(root / "backbone", root / "text", str(root / "vit"), "CC-BY-NC-SA-4.0")
    return World(theirs, root / "best.pth", parts, vit)


def clips_of(seed: int = 0) -> list[dict[str, Array]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "audio": (3000 * rng.standard_normal(int(seconds * 16_000))).astype(np.int16),
            "text": np.frombuffer(" ".join(rng.choice(WORDS, 4)).encode(), np.uint8),
            "vision": rng.integers(1, 255, (number + 1, 112, 112, 3), np.uint8),
        }
        for number, seconds in enumerate(SECONDS)
    ]


def tokens_of(text: Array) -> list[int]:
    return list(tiny_tokenizer().encode(text.tobytes().decode()).ids)


def seen(world: World, frames: Array) -> torch.Tensor:
    """Return the mean of all tokens of each frame, resized and scaled by hand."""
    from PIL import Image

    small = np.stack([np.asarray(Image.fromarray(f).resize((16, 16), 2)) for f in frames])
    scaled = torch.tensor(small / 255 * 2 - 1, dtype=torch.float32).permute(0, 3, 1, 2)
    states: torch.Tensor = world.vit(scaled).last_hidden_state.mean(dim=1)
    return states


def emi_of(found: list[Any]) -> Array:
    assert all(isinstance(scores, Scores) for scores in found)
    return np.stack([scores.emi for scores in found])


def theirs_on(world: World, clips: list[dict[str, Array]], *, exact: bool) -> Array:
    inputs = (
        [clip["audio"] for clip in clips],
        [seen(world, clip["vision"]) for clip in clips],
        [tokens_of(clip["text"]) for clip in clips],
    )
    with torch.inference_mode():
        if exact:
            return torch.stack(
                [world.theirs.exact(*one) for one in zip(*inputs, strict=True)]
            ).numpy()
        return np.asarray(world.theirs(*inputs).numpy())


@torch.no_grad()
@pytest.mark.parametrize("read_out", ["exact", "authors"])
def test_scores_are_those_of_a_forward_pass_written_apart(
    world: World, read_out: Any, tmp_path: Path
) -> None:
    model, card = load_semantic_matters(
        world.path, world.parts, read_out=read_out, longest_seconds=max(SECONDS)
    )
    save_checkpoint(tmp_path / "imported", model, card)
    loaded = load_model(str(tmp_path / "imported"))
    predictor = Predictor(loaded.model, device="cpu", precision="fp32")
    clips = clips_of()
    expected = theirs_on(world, clips, exact=read_out == "exact")
    np.testing.assert_allclose(emi_of(predictor(clips)), expected, rtol=0, atol=1e-5)
    alone = [predictor([clip])[0] for clip in clips]
    np.testing.assert_allclose(emi_of(alone), expected, rtol=0, atol=1e-5)
    if read_out == "authors":  # a long clip in the batch is read right, short ones are not
        others = theirs_on(world, clips, exact=True)
        assert np.abs(others - expected).max() > 1e-3
    assert ("no mask" in loaded.card.recipe) == (read_out == "authors")
    assert ("2 s" in loaded.card.recipe) == (read_out == "authors")
    assert "padding is masked" in loaded.card.recipe or read_out == "authors"
    assert loaded.card.licences.startswith("CC-BY-NC-SA-4.0")
    assert set(loaded.card.encoders) == {"text", "vision"}


@torch.no_grad()
def test_a_clip_without_words_is_one_of_an_empty_text(world: World) -> None:
    model, _ = load_semantic_matters(world.path, world.parts)
    predictor = Predictor(model, device="cpu", precision="fp32")
    clip = clips_of()[1]
    wordless = {name: values for name, values in clip.items() if name != "text"}
    empty = {**clip, "text": np.zeros(0, np.uint8)}
    expected = theirs_on(world, [empty], exact=True)
    np.testing.assert_allclose(emi_of(predictor([wordless])), expected, rtol=0, atol=1e-5)
    faceless = {name: values for name, values in clip.items() if name != "vision"}
    with pytest.raises(ConfigError, match="without 'vision'"):
        predictor([faceless])


def test_module_on_every_name_is_left_out_and_all_weights_are_there(
    world: World, tmp_path: Path
) -> None:
    state = world.theirs.state_dict()
    torch.save({f"module.{name}": weight for name, weight in state.items()}, tmp_path / "one.pth")
    one, _ = load_semantic_matters(tmp_path / "one.pth", world.parts)
    other, _ = load_semantic_matters(world.path, world.parts)
    weights = other.state_dict()
    assert one.state_dict().keys() == weights.keys()
    assert all(torch.equal(weight, weights[name]) for name, weight in one.state_dict().items())
    lstm = state["lstm_vis.weight_hh_l1"]
    assert torch.equal(weights["fusion.lstms.vision.weight_hh_l1"], lstm)


def changed(state: Mapping[str, torch.Tensor], kind: str) -> dict[str, torch.Tensor]:
    found = dict(state)
    if kind == "missing":
        del found["text_model.encoder.layer.1.mlp.down_proj.bias"]
    elif kind == "superfluous":
        found["text_model.pooler.weight"] = torch.zeros(2)
    elif kind == "shape":
        found["lstm_audio.bias_ih_l0"] = torch.zeros(3)
    elif kind == "some modules":
        found["module.lstm_vis.bias_ih_l0"] = found.pop("lstm_vis.bias_ih_l0")
    elif kind == "no fusion":
        del found["fusion_model.0.weight"]
    return found


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", r"1 weights missing .*layer\.1\.mlp\.down_proj\.bias"),
        ("superfluous", r"1 weights not of this architecture: .*pooler\.weight"),
        ("shape", r"1 weights of another shape: fusion\.lstms\.audio\.bias_ih_l0"),
        ("some modules", r"1 weights missing"),
        ("no fusion", r"found no fusion\.layers\.0\.weight"),
    ],
)
def test_a_file_that_is_not_exactly_theirs_is_refused(
    world: World, tmp_path: Path, kind: str, said: str
) -> None:
    torch.save(changed(world.theirs.state_dict(), kind), tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=said):
        load_semantic_matters(tmp_path / "odd.pth", world.parts)


def test_the_names_say_which_system_it_is_and_what_is_needed(world: World, tmp_path: Path) -> None:
    parts = world.parts
    with pytest.raises(CheckpointError, match="--text-encoder and --vision-encoder"):
        load_imported(world.path, parts.backbone)
    with pytest.raises(CheckpointError, match="needs --read-out authors"):
        load_imported(
            world.path,
            parts.backbone,
            text_encoder=parts.text_encoder,
            vision_encoder=parts.vision_encoder,
            longest_seconds=3.0,
        )
    torch.save({"fusion_model.0.weight": torch.zeros(2, 2)}, tmp_path / "old.pth")
    with pytest.raises(CheckpointError, match="is not of Semantic Matters"):
        load_imported(tmp_path / "old.pth", parts.backbone, text_encoder=parts.text_encoder)
    with pytest.raises(CheckpointError, match="missing"):
        load_imported(tmp_path / "old.pth", parts.backbone)
