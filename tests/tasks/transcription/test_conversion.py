"""A Whisper model in Hugging Face's layout is converted once, and transcribes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast, WhisperConfig, WhisperForConditionalGeneration

from emi_model.errors import CheckpointError
from tasks.transcription.asr_models import asr_folder, asr_name, asr_sha256
from tasks.transcription.conversion import converted
from tasks.transcription.settings import AsrSettings
from tasks.transcription.transcriber import Transcriber
from tests.spoken import spoken


@pytest.fixture
def whisper(asr: AsrSettings, tmp_path: Path) -> Path:
    """A tiny English Whisper with random weights, and the tokenizer of the real one."""
    tokenizer = Tokenizer.from_file(str(Path(asr.model) / "tokenizer.json"))
    config = WhisperConfig(
        vocab_size=51_864,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_mel_bins=80,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    torch.manual_seed(0)
    folder = tmp_path / "small-whisper"
    WhisperForConditionalGeneration(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    return folder


def test_it_is_converted_once_and_loads(
    whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    folder = asr_folder(str(whisper))
    assert folder.parent == tmp_path / "home" / "asr"
    assert {"model.bin", "config.json", "tokenizer.json", "preprocessor_config.json"} <= {
        path.name for path in folder.iterdir()
    }
    written = (folder / "model.bin").stat().st_mtime_ns
    assert asr_folder(str(whisper)) == folder
    assert (folder / "model.bin").stat().st_mtime_ns == written
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert asr_name(str(whisper)) == "small-whisper"
    assert len(asr_sha256(str(whisper))) == 64
    transcriber = Transcriber(AsrSettings(str(whisper), beam_size=1), threads=1)
    assert transcriber(np.zeros(16_000, np.int16)).text == ""
    assert transcriber(spoken("Good morning everybody.")).speech_seconds > 0


def test_a_folder_that_lacks_its_weights_is_refused(
    whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    (whisper / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"small-whisper: cannot be converted"):
        converted(whisper)
    assert list((tmp_path / "home" / "asr").iterdir()) == []
