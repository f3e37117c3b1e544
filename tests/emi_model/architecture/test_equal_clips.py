"""The exported forward pass gives what the model gives."""

import numpy as np
import pytest
import torch

from emi_model.architecture.branch import collate
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.equal_clips import EqualClips, exported
from emi_model.architecture.model import EmiModel
from emi_model.audio.waveform import normalise
from emi_model.errors import ConfigError
from emi_model.modalities import AUDIO
from tests.tiny import BACKBONE


@pytest.mark.parametrize(
    "switches",
    [{}, {"lstm": False}, {"global_vector": False}, {"vad_head": False}, {"targets": ()}],
)
def test_an_exported_model_agrees(switches):
    torch.manual_seed(0)
    model = EmiModel(EmiConfig(backbone=BACKBONE, **switches)).eval()
    generator = np.random.default_rng(0)
    clips = [generator.normal(0, 0.1, 4_000).astype(np.float32) for _ in range(2)]
    waveforms = torch.from_numpy(np.stack(clips))
    plain = EqualClips(model).eval()
    found = {"plain": plain(waveforms)}
    if not switches:  # an export takes seconds, and is one whatever the switches
        found["exported"] = exported(model, 4_000, 2).module()(waveforms)
    with torch.no_grad():
        expected = model(collate([{AUDIO: normalise(clip)} for clip in clips], [AUDIO]))
    for outputs in found.values():
        assert ("emi" in outputs) == bool(model.config.targets)
        for name, values in outputs.items():
            assert torch.allclose(values, getattr(expected, name), atol=1e-5), name


def test_a_backbone_that_wants_raw_waveforms_gets_them():
    torch.manual_seed(0)
    model = EmiModel(EmiConfig(backbone={**BACKBONE, "do_normalize": False})).eval()
    waveforms = torch.randn(2, 4_000) * 0.1
    with torch.no_grad():
        expected = model(collate([{AUDIO: clip} for clip in waveforms.numpy()], [AUDIO]))
    assert torch.allclose(EqualClips(model).eval()(waveforms)["emi"], expected.emi, atol=1e-5)


def test_padding_that_is_heard_cannot_be_exported():
    model = EmiModel(EmiConfig(backbone=BACKBONE, branches={AUDIO: {"longest_samples": 16_000}}))
    with pytest.raises(ConfigError, match="longest_samples 16000, expected none"):
        EqualClips(model)


def test_only_audio_can_be_exported():
    model = EmiModel(EmiConfig(backbone=BACKBONE))
    model.config = EmiConfig(backbone=BACKBONE, branches={AUDIO: {}, "video": {}})
    with pytest.raises(ConfigError, match="expected audio alone"):
        EqualClips(model)
