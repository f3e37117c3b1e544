"""A tiny model that reads vectors: only adapter and linear layers learn; alone as in a batch."""

import copy
import sys

import numpy as np
import pytest
import torch

from emi_model.errors import CheckpointError, ConfigError, TrainingError
from emi_model.language.explainer import Explainer, load_explainer
from emi_model.language.from_scratch import learn_texts, small_llama, word_tokenizer
from emi_model.language.instructions import BEFORE, coarse, fine
from emi_model.language.lora import with_lora
from emi_model.language.tuning import PUBLISHED, TuningStage, tune

EMOTIONS = ("joy", "awe")


def example(number):
    """A vector of three numbers whose sign is the emotion; every third clip has no text."""
    rng = np.random.default_rng(number)
    emotion = number % 2
    audio = np.float32([1 - 2 * emotion, 0, 0]) + rng.normal(0, 0.1, 3).astype(np.float32)
    vectors = {"audio": audio, "text": np.zeros(2, np.float32)}
    if number % 3 == 0:
        del vectors["text"]
    said = "well" if number % 5 == 0 else ""
    return coarse(vectors, EMOTIONS[emotion], said), fine(vectors, EMOTIONS[emotion], ["pitch low"])


COARSE, FINE = zip(*map(example, range(24)), strict=True)


@pytest.fixture(scope="module")
def base():
    texts = [f"{BEFORE} {one.after} {one.answer}" for one in (*COARSE, *FINE)]
    tokenizer = word_tokenizer(texts)
    model = small_llama(tokenizer, size=16, num_layers=1)
    first = learn_texts(model, tokenizer, texts, num_steps=1, rate=1e-2, seed=0)
    assert learn_texts(model, tokenizer, texts, num_steps=12, rate=1e-2, seed=0) < 0.8 * first
    return model, tokenizer


@pytest.fixture
def explainer(base):
    torch.manual_seed(0)
    model = with_lora(copy.deepcopy(base[0]), rank=4, alpha=8)
    return Explainer(model, base[1], {"audio": 3, "text": 2}).eval()


def test_two_stages_teach_the_adapter_and_the_layers_alone(explainer, base, tmp_path):
    before = {name: weight.clone() for name, weight in explainer.named_parameters()}
    stages = (TuningStage(20, 3e-2, 1e-3, 2, 8), TuningStage(12, 1e-2, 1e-3, 0, 8))
    for stage, pairs in zip(stages, (COARSE, FINE), strict=True):
        losses = tune(explainer, stage, pairs, seed=1)
        assert len(losses) == stage.num_steps
        assert np.mean(losses[-3:]) < np.mean(losses[:3])
    changed = {
        name
        for name, weight in explainer.named_parameters()
        if not torch.equal(weight, before[name])
    }
    assert all("lora_" in name or not name.startswith("language.") for name in changed)
    assert {name.split(".")[0] for name in changed} == {"language", "projections", "absent"}
    answers = explainer.answers(FINE[:6], max_new_tokens=6)
    explainer.save(tmp_path / "explainer")
    again = load_explainer(tmp_path / "explainer", copy.deepcopy(base[0]), base[1])
    assert again.answers(FINE[:6], max_new_tokens=6) == answers
    with torch.inference_mode():
        assert torch.equal(again(FINE[:6]), explainer(FINE[:6]))


def test_an_answer_is_the_same_alone_and_in_a_batch(explainer):
    pairs = [*COARSE[:6], *FINE[:2]]
    together = explainer.answers(pairs, max_new_tokens=5)
    assert together == [explainer.answers([one], max_new_tokens=5)[0] for one in pairs]
    with torch.inference_mode():
        lengths = [len(explainer._tokens(one.answer, end=True)) for one in pairs]
        alone = [float(explainer([one])) for one in pairs]
        assert float(explainer(pairs)) == pytest.approx(
            np.average(alone, weights=lengths), abs=1e-5
        )


@pytest.mark.parametrize("whole", [False, True])
def test_a_model_of_half_the_width_learns_and_answers(base, whole):
    """``whole``: the linear layers are of half the width, too."""
    half = copy.deepcopy(base[0]).to(torch.bfloat16)
    explainer = Explainer(with_lora(half, rank=4, alpha=8), base[1], {"audio": 3, "text": 2})
    if whole:
        explainer.to(torch.bfloat16)
    before = explainer.projections["audio"].weight.detach().clone()
    losses = tune(explainer, TuningStage(3, 3e-2, 1e-3, 0, 4), COARSE, seed=1)
    assert np.isfinite(losses).all()
    assert not torch.equal(explainer.projections["audio"].weight, before)
    assert len(explainer.answers(COARSE[:4], max_new_tokens=3)) == 4


def test_any_modality_may_be_absent(explainer):
    vectors = COARSE[1].vectors
    with torch.inference_mode():
        losses = [
            float(explainer([coarse({name: vectors[name] for name in some}, "joy")]))
            for some in (("audio", "text"), ("audio",), ("text",), ())
        ]
    assert len({round(loss, 6) for loss in losses}) == 4
    assert np.isfinite(losses).all()


def test_a_rate_warms_up_and_falls():
    stage = TuningStage(100, 1e-3, 1e-4, 10)
    rates = [stage.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == rates[10] == pytest.approx(1e-3)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(1e-4, rel=0.01)
    assert [one.first_rate for one in PUBLISHED] == [1e-5, 1e-6]


def test_what_cannot_be_trained_or_loaded_is_said(explainer, base, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="expected a step"):
        TuningStage(0, 1e-3, 1e-4)
    with pytest.raises(ConfigError, match="no instruction pairs"):
        tune(explainer, PUBLISHED[0], [], seed=0)
    broken = coarse({"audio": np.float32([np.nan] * 3)}, "joy")
    with pytest.raises(TrainingError, match="a loss of nan in step 1"):
        tune(explainer, TuningStage(1, 1e-3, 1e-4), [broken], seed=0)
    with pytest.raises(CheckpointError, match="found no explainer"):
        load_explainer(tmp_path, base[0], base[1])
    explainer.save(tmp_path / "torn")
    (tmp_path / "torn" / "projections.safetensors").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="torn: found no explainer of this model: Error"):
        load_explainer(tmp_path / "torn", copy.deepcopy(base[0]), base[1])
    with pytest.raises(ConfigError, match="without q_proj and v_proj"):
        with_lora(torch.nn.Sequential(torch.nn.Linear(2, 2)))
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r"emi-workflow\[language\]"):
        with_lora(base[0])
