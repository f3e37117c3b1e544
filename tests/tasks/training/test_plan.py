from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.errors import ConfigError, LabelError, ModelNotFound
from emi_model.training.first_weights import from_scratch
from emi_model.training.recipes import Recipe, recipe_named
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import LabelledAudio, load_labelled_audio
from tasks.training.plan import Start, TrainingPlan, plan_training, start_of, storage_of
from tasks.training.recipe_names import chosen_recipe
from tests.emi_model.architecture.tiny_encoders import tiny_text_encoder
from tests.tasks.labels.labelled_corpus import TARGETS, labelled_store

DEBUG = recipe_named("debug")


@pytest.fixture
def gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabelledAudio:
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    corpus, store = labelled_store(tmp_path, ["train", "train", "valid", "train"])
    return load_labelled_audio(load_labels(store), str(corpus), ("train", "valid"))


def planned(
    gathered: LabelledAudio, recipe: Recipe = DEBUG, start: Start | None = None
) -> TrainingPlan:
    return plan_training(gathered, recipe, name="emi", start=start, workers=1, gpus=0)


def checkpoint(folder: Path) -> Path:
    torch.manual_seed(0)
    config = replace(DEBUG.model, targets=TARGETS)
    card = ModelCard("older", TARGETS, "somebody's backbone", "CC-BY-NC-SA-4.0")
    save_checkpoint(folder, EmiModel(config).eval(), card)
    return folder


def test_a_plan_says_all_that_a_worker_needs(gathered: LabelledAudio) -> None:
    plan = planned(gathered)
    assert [clip.clip_id for clip in plan.job.train] == ["000.wav", "001.wav", "003.wav"]
    assert [clip.clip_id for clip in plan.job.valid] == ["002.wav"]
    assert plan.job.targets == TARGETS
    assert plan.job.split_sha256 == gathered.labels.split_sha256
    card = plan.job.card
    assert (card.name, card.recipe, card.split) == ("emi", "debug", gathered.labels.split_sha256)
    assert "3 clips of 2 speakers to train, 1 clips of 1 speakers to choose" in card.data
    assert card.backbone == "none: trained from scratch"
    assert plan.parameters()["train"]["epochs"] == DEBUG.train.epochs


def test_a_folder_can_have_the_name_of_any_recipe(gathered: LabelledAudio) -> None:
    for name, plain in (
        ("paper+mse_ccc", "paper-mse_ccc"),
        ("debug+epochs=5+augmentation.speed=0.9,1.1", "debug-epochs=5-augmentation.speed=0.9,1.1"),
        ("/home/me/my recipes.py:mine+ema", "my-recipes.py-mine-ema"),
        ("debug+text.encoder=/of/me/small-bert+ema", "debug-text.encoder=small-bert-ema"),
        ("debug" + "+seed=1" * 99, ("debug" + "-seed=1" * 99)[:100]),
    ):
        plan = planned(gathered, replace(DEBUG, name=name))
        assert plan.run_name == f"{plain}-{plan.training_id[:12]}"


def test_the_same_training_has_the_same_id_and_another_has_another(gathered: LabelledAudio) -> None:
    first = planned(gathered)
    assert planned(gathered).training_id == first.training_id
    others = [
        planned(gathered, recipe_named("debug+ccc")),
        planned(gathered, replace(DEBUG, filterbank=True)),
        planned(gathered, replace(DEBUG, train=replace(DEBUG.train, seed=2))),
        planned(gathered, replace(DEBUG, model=replace(DEBUG.model, lstm=False))),
        planned(replace(gathered, clips={**gathered.clips, "train": gathered.of_split("valid")})),
        plan_training(gathered, DEBUG, name="other", start=None, workers=1, gpus=0),
    ]
    assert len({first.training_id, *(other.training_id for other in others)}) == 7
    root = Path("/home/of/all")
    assert storage_of(first, root).parent == root / "training"
    assert storage_of(first, root).name == f"debug-{first.training_id[:12]}"


def test_a_licence_goes_with_what_is_made_from_it(gathered: LabelledAudio, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "older")
    cold = planned(gathered, start=Start(str(folder), warm=False))
    warm = planned(gathered, start=Start(str(folder), warm=True))
    assert cold.job.card.backbone == "older"
    assert warm.job.card.backbone == "somebody's backbone"
    assert {cold.job.card.backbone_licence, warm.job.card.backbone_licence} == {"CC-BY-NC-SA-4.0"}
    assert cold.training_id != warm.training_id


def test_first_weights_are_new_or_those_of_the_start(
    gathered: LabelledAudio, tmp_path: Path
) -> None:
    folder = checkpoint(tmp_path / "older")

    def fusion(plan: TrainingPlan) -> torch.Tensor:
        return torch.cat([w.flatten() for w in plan.job.first_model().fusion.parameters()])

    scratch = planned(gathered)
    fresh = torch.cat([w.flatten() for w in from_scratch(DEBUG, TARGETS).fusion.parameters()])
    assert torch.equal(fusion(scratch), fresh)
    cold = planned(gathered, start=Start(str(folder), warm=False))
    warm = planned(gathered, start=Start(str(folder), warm=True))
    assert not torch.equal(fusion(cold), fusion(warm))
    first, older = cold.job.first_model().state_dict(), warm.job.first_model().state_dict()
    assert all(
        torch.equal(first[name], older[name]) for name in older if name.startswith("backbone.")
    )


def test_what_a_recipe_starts_from(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "older")
    assert start_of(DEBUG, None) is None
    assert start_of(DEBUG, str(folder)) == Start(str(folder), warm=False)
    with pytest.raises(ModelNotFound):
        start_of(DEBUG, str(tmp_path / "nowhere"))


def test_an_empty_split_is_refused(gathered: LabelledAudio) -> None:
    empty = replace(gathered, clips={**gathered.clips, "train": ()}, missing={"a.wav": "gone"})
    with pytest.raises(LabelError, match=r"no clip in the split 'train' \(1 labelled clips have"):
        planned(empty)
    unwatched = replace(gathered, clips={**gathered.clips, "valid": ()})
    with pytest.raises(LabelError, match="'valid', expected some to choose the epoch by"):
        planned(unwatched)
    last = replace(DEBUG, train=replace(DEBUG.train, keep="last"))
    assert planned(unwatched, last).job.valid == ()


def test_encoders_are_in_the_card_the_id_and_where_workers_find_them(
    gathered: LabelledAudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_text_encoder(tmp_path / "bert")
    monkeypatch.chdir(tmp_path)
    recipe = chosen_recipe("debug+text.encoder=./bert")
    assert recipe.model.branches["text"] == {
        "optional": True,
        "trained": False,
        "encoder": "./bert",
    }
    plan = planned(gathered, recipe)
    assert plan.job.recipe.model.branches["text"]["encoder"] == str(folder)
    facts = plan.job.card.encoders["text"]
    assert (facts["name"], facts["licence"]) == ("bert", "apache-2.0")
    assert plan.job.card.licences == "apache-2.0"
    weights = load_file(folder / "model.safetensors")
    weights["embeddings.LayerNorm.bias"] += 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    other = planned(gathered, recipe)
    assert other.training_id not in (plan.training_id, planned(gathered).training_id)
    model = other.job.first_model()
    assert torch.equal(
        model.state_dict()["branches.text.encoder.embeddings.LayerNorm.bias"],
        weights["embeddings.LayerNorm.bias"],
    )


def test_a_model_that_hears_nothing_starts_from_no_backbone() -> None:
    deaf = replace(recipe_named("paper"), model=EmiConfig(branches={"text": {}}))
    assert start_of(deaf, None) is None
    with pytest.raises(ConfigError, match="hears nothing"):
        start_of(deaf, "owner/backbone")


def test_text_of_another_asr_model_is_another_training(gathered: LabelledAudio) -> None:
    read = [
        planned(replace(gathered, extractors={"text": {"asr_model": name, "asr_key": name}}))
        for name in ("tiny.en", "small.en")
    ]
    assert [plan.job.card.extractors["text"]["asr_model"] for plan in read] == [
        "tiny.en",
        "small.en",
    ]
    ids = {planned(gathered).training_id, *(plan.training_id for plan in read)}
    assert len(ids) == 3
