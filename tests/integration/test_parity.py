"""The command against the paper: an independent forward pass, clip by clip, unpadded."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import Wav2Vec2Config, Wav2Vec2Model

from emi_model.targets import EMI_TARGETS, column_name
from tasks.extraction.audio import Extraction, extract

BACKBONE = {
    "model_type": "wav2vec2",
    "hidden_size": 1024,
    "num_hidden_layers": 2,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "vocab_size": None,
}
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "media" / "clips"


class Authors(nn.Module):
    """The system of arXiv 2403.11879 under the names of its authors' state dict."""

    def __init__(self):
        super().__init__()
        self.audio_model = nn.Module()
        self.audio_model.wav2vec2 = Wav2Vec2Model(Wav2Vec2Config(**BACKBONE))
        self.audio_model.classifier = nn.Module()
        self.audio_model.classifier.dense = nn.Linear(1024, 1024)
        self.audio_model.classifier.out_proj = nn.Linear(1024, 3)
        self.lstm_audio = nn.LSTM(1027, 1027, 2, batch_first=True)
        self.fusion_model = nn.Sequential(nn.Linear(2054, 2054), nn.Tanh(), nn.Linear(2054, 6))

    def forward(self, waveform):
        """Score one clip, float32 (samples,)."""
        normalised = (waveform - waveform.mean()) / torch.sqrt(waveform.var(correction=0) + 1e-7)
        hidden = self.audio_model.wav2vec2(normalised[None]).last_hidden_state
        head = self.audio_model.classifier
        vad = head.out_proj(torch.tanh(head.dense(hidden)))
        features = torch.cat([hidden, vad], dim=-1)
        last = self.lstm_audio(features)[0][:, -1]
        emi = self.fusion_model(torch.cat([features.mean(dim=1), last], dim=-1))
        return emi[0], vad.mean(dim=1)[0]


def clips_of(corpus):
    """Synthetic speech, and real clips where they lie beside the project."""
    real = sorted(path for path in SHARED.glob("*") if path.is_file())
    return [*sorted(corpus.glob("*/clip_*.mp4"))[:4], *real[::4]]


@pytest.fixture
def authors(tmp_path):
    """A random model, its state dict and its backbone's folder."""
    torch.manual_seed(3)
    model = Authors().eval()
    torch.save(model.state_dict(), tmp_path / "authors.pth")
    backbone = tmp_path / "backbone"
    backbone.mkdir()
    (backbone / "config.json").write_text(json.dumps(BACKBONE))
    return model


@torch.inference_mode()
def test_the_command_equals_a_plain_forward_pass(authors, emi, corpus, tmp_path):
    imported = tmp_path / "imported"
    code, _, err = emi(
        "import-checkpoint",
        tmp_path / "authors.pth",
        "--backbone",
        tmp_path / "backbone",
        "--out",
        imported,
    )
    assert code == 0, err
    clips = clips_of(corpus)
    options = ("--model", imported, "--raw", "--precision", "fp32", "--json")
    code, out, err = emi("score", *options, "--", *clips)
    assert code == 0, err
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(rows) == len(clips)
    worst, compared = 0.0, 0
    for clip, row in zip(clips, rows, strict=True):
        found = extract(clip, max_seconds=12.0)
        if not isinstance(found, Extraction):
            assert row["reason"] == found.reason
            continue
        emi_scores, vad = authors(torch.from_numpy(found.waveform.astype(np.float32) / 32768))
        ours = [row[column_name(target)] for target in EMI_TARGETS]
        ours += [row[name] for name in ("arousal", "dominance", "valence")]
        theirs = [*emi_scores.tolist(), *vad.tolist()]
        worst = max(worst, *(abs(one - other) for one, other in zip(ours, theirs, strict=True)))
        compared += 1
    assert compared >= 4
    assert worst < 1e-5, f"{worst} over {compared} clips"
