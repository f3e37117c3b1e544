"""A causal language model in a folder: greedy, offline, without code of its own."""

import json
import shutil

import pytest

from emi_model.errors import CheckpointError, ModelNotFound
from emi_model.language.causal import CausalWriter
from emi_model.language.from_scratch import small_llama, word_tokenizer

WORDS = "Joy is the highest of scores at 0.62 . A pause of 2 s ."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llm")
    tokenizer = word_tokenizer([WORDS])
    small_llama(tokenizer, size=16, num_layers=1).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_it_writes_the_same_text_each_time(folder):
    write = CausalWriter(str(folder), max_new_tokens=9)
    again = CausalWriter(str(folder), max_new_tokens=9)
    assert write.name == folder.name
    assert write.sha256 == again.sha256
    text = write("Joy is the highest")
    assert 0 < len(text.split()) <= 9
    assert text == write("Joy is the highest") == again("Joy is the highest")
    assert set(text.split()) <= {*WORDS.split(), "<unk>"}


def test_of_a_long_prompt_the_end_is_used(folder):
    write = CausalWriter(str(folder), max_new_tokens=4)
    assert write("Joy " * 900 + "pause " * 1020) == write("pause " * 1020)


def test_a_template_of_chats_is_filled_in(folder, tmp_path):
    tokenizer = word_tokenizer([WORDS])
    small_llama(tokenizer, size=16, num_layers=1).save_pretrained(tmp_path)
    tokenizer.chat_template = "Joy is {{ messages[0].content }} at"
    tokenizer.save_pretrained(tmp_path)
    asked = CausalWriter(str(tmp_path), max_new_tokens=4)
    plain = CausalWriter(str(folder), max_new_tokens=4)
    assert asked("the highest") == plain("Joy is the highest at")
    assert asked.sha256 != plain.sha256


def test_what_is_no_language_model_is_one_line(folder, tmp_path):
    for reference in ("nowhere", "/no/where", "a/b/c"):
        with pytest.raises(ModelNotFound, match="no such folder"):
            CausalWriter(reference)
    with pytest.raises(ModelNotFound, match=r"holds no config\.json"):
        CausalWriter(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "wav2vec2"}')
    with pytest.raises(CheckpointError, match="cannot be loaded as a causal language model"):
        CausalWriter(str(tmp_path))


def test_weights_that_were_cut_short_are_one_line(folder, tmp_path):
    torn = tmp_path / "torn"
    shutil.copytree(folder, torn)
    (torn / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"cannot be loaded .*not fully covered"):
        CausalWriter(str(torn))


def test_code_in_the_folder_is_never_run(folder, tmp_path):
    ran = tmp_path / "ran"
    (tmp_path / "own.py").write_text(f"open({str(ran)!r}, 'w')\nclass Config: pass\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        CausalWriter(str(tmp_path))
    assert not ran.exists()
