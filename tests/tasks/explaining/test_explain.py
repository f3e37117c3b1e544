"""Clips become rows with text and evidence, or rejections; the store shows the latest."""

import numpy as np
import pytest
import soundfile
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.errors import ConfigError
from emi_model.language.from_scratch import small_llama, word_tokenizer
from tasks.explaining.evidence import Evidence
from tasks.explaining.explain import explain_files, record_explanations
from tasks.explaining.support import SupportChecker
from tasks.explaining.tokens import sentences_of
from tasks.store.query import answer
from tasks.store.store import create_store
from tests.emi_model.architecture.tiny_encoders import TEXT_BRANCHES
from tests.spoken import spoken
from tests.tiny import BACKBONE


def saved(folder, **options):
    torch.manual_seed(0)
    config = EmiConfig(backbone=BACKBONE, **options)
    save_checkpoint(folder, EmiModel(config).eval(), ModelCard("tiny", config.targets))
    return str(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    sentence = "I would like to thank you for your help with this project."
    soundfile.write(folder / "a.wav", spoken(sentence), 16_000)
    soundfile.write(folder / "b.wav", np.zeros(4_000, np.int16), 16_000)
    (folder / "c.mp4").write_bytes(b"")
    return [str(folder / name) for name in ("a.wav", "b.wav", "c.mp4", "d.wav")]


@pytest.fixture(autouse=True)
def no_asr(monkeypatch):
    monkeypatch.delenv("EMI_ASR", raising=False)


def test_rows_have_text_and_evidence_or_a_reason(model, clips, asr):
    rows = list(explain_files(clips, model, asr=asr.model))
    assert [row["status"] for row in rows] == ["explained", "explained", "rejected", "rejected"]
    assert [row["reason"] for row in rows] == [None, None, "unreadable", "missing"]
    assert '"I would like to thank you for' in rows[0]["text"]
    assert "No words are spoken." in rows[1]["text"]
    assert rows[2]["text"] is rows[2]["evidence"] is rows[2]["writer"] is None
    assert len({row["run_id"] for row in rows}) == 1
    for row in rows[:2]:
        check = SupportChecker(Evidence.from_json(row["evidence"]))
        assert [check.problem(one) for one in sentences_of(row["text"])] == [None] * 3
        assert (row["writer"], row["num_sentences"], row["num_dropped"]) == ("template", 3, 0)
        assert row["asr_key"]


def test_a_model_that_reads_gets_the_same_words(clips, asr, tmp_path):
    model = saved(tmp_path / "m", branches={"text": TEXT_BRANCHES["hashed_words"]})
    (row,) = explain_files(clips[:1], model, asr=asr.model)
    assert "thank you" in row["text"]
    with pytest.raises(ConfigError, match="no ASR model"):
        next(explain_files(clips[:1], model))


def test_a_language_model_that_knows_nothing_is_dropped(model, clips, tmp_path):
    tokenizer = word_tokenizer(["The speaker is glad . Sentences : At 3 s joy is 0.97 ."])
    small_llama(tokenizer, size=16, num_layers=1).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    (plain,) = explain_files(clips[:1], model)
    (row,) = explain_files(clips[:1], model, llm=str(tmp_path))
    assert row["num_dropped"] >= 1
    assert (row["text"], row["writer"]) == (plain["text"], "template")
    assert (row["language_model"], plain["language_model"]) == (tmp_path.name, None)


def test_the_store_keeps_all_and_shows_the_latest(model, clips, tmp_path):
    store = create_store(tmp_path / "store")
    record_explanations(store, [])
    for _ in range(2):
        rows = list(explain_files(clips[1:3], model))
        record_explanations(store, rows)
    shown = answer(store.location, "SELECT * FROM explanations ORDER BY clip_id").to_pylist()
    assert [row["run_id"] for row in shown] == [rows[0]["run_id"]] * 2
    assert [row["text"] for row in shown] == [row["text"] for row in rows]
    assert len(store.parts("explanations")) == 2
