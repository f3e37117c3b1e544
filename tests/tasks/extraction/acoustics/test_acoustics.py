"""Sets of features of a clip's sound as inputs of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emi_model.errors import ConfigError
from emi_model.modalities import SOUND_RATES, size_of
from tasks.extraction.acoustics import egemaps
from tasks.extraction.audio import Extraction
from tasks.extraction.registry import ClipMedia, extractor_facts, extractor_of, require_extractors
from tasks.schema.outcomes import Reason, Rejection

OURS = {"mfcc": 39, "functionals": 106, "bag_of_words": 256}
"""Values of an entry."""


def media_of(waveform: NDArray[np.int16] | Rejection) -> ClipMedia:
    audio = waveform
    if not isinstance(audio, Rejection):
        audio = Extraction(waveform=audio, truncated=False, short_decode=False)
    return ClipMedia(Path("clip.wav"), audio, max_seconds=None, timeout_seconds=30)


def voice(num_samples: int) -> NDArray[np.int16]:
    """Return a tone with noise."""
    times = np.arange(num_samples) / 16_000
    noise = np.random.default_rng(0).standard_normal(num_samples)
    return (3000 * np.sin(2 * np.pi * 150 * times) + 200 * noise).astype(np.int16)


@pytest.mark.parametrize("modality", OURS)
def test_a_set_has_its_rate_and_its_values(modality: str) -> None:
    extractor = extractor_of(modality)
    assert extractor.needs_audio
    assert not extractor.own_stage
    assert extractor.folder() == f"{modality}-v1"
    found = extractor.extract(media_of(voice(40_000)))
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    assert found.shape == (2.5 * SOUND_RATES[modality], OURS[modality])
    assert size_of({modality: found}) == 40_000


@pytest.mark.parametrize("modality", OURS)
@pytest.mark.parametrize(
    "waveform",
    [np.array([7], np.int16), np.zeros(900, np.int16), np.full(900, -32768, np.int16)],
    ids=["one sample", "silence", "full scale"],
)
def test_any_sound_gives_features(modality: str, waveform: NDArray[np.int16]) -> None:
    found = extractor_of(modality).extract(media_of(waveform))
    assert isinstance(found, np.ndarray)
    assert len(found) == (max(1, len(waveform) // 160) if modality == "mfcc" else 1)
    assert np.isfinite(found).mean() > 0.9  # without pitch there are no statistics of it


@pytest.mark.parametrize("modality", SOUND_RATES)
def test_a_clip_without_sound_is_rejected_for_that(modality: str) -> None:
    silent_film = Rejection(reason=Reason.NO_AUDIO_TRACK, detail="no audio track in mov")
    assert extractor_of(modality).extract(media_of(silent_film)) is silent_film


class OpenSmile:
    """What the extractor asks of openSMILE, which is not installed here: 88 values of a sound."""

    def process_signal(self, samples: NDArray[np.float32], rate: int) -> OpenSmile:
        assert rate == 16_000
        assert samples.dtype == np.float32
        self.found = np.full((1, 88), np.abs(samples).max())
        return self

    def to_numpy(self, kind: Any) -> NDArray[Any]:
        return self.found.astype(kind)


def test_egemaps_are_of_the_same_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egemaps, "_smile", OpenSmile)
    waveform = np.zeros(40_100, np.int16)
    for place, level in ((4000, 8192), (20_000, 16_384), (39_000, 32_767)):
        waveform[place] = level
    found = extractor_of("egemaps").extract(media_of(waveform))
    assert isinstance(found, np.ndarray)
    assert found.shape == (5, 88)
    np.testing.assert_allclose(found[:, 0], [0.25, 0.5, 0.5, 1, 1], atol=1e-4)
    short = extractor_of("egemaps").extract(media_of(voice(1500)))
    assert isinstance(short, Rejection)
    assert (short.reason, short.detail[:15]) == (Reason.TOO_SHORT, "0.09 s of sound")


def test_egemaps_name_the_package_and_its_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egemaps, "version", lambda name: f"{len(name)}.6")
    assert extractor_facts(["mfcc", "egemaps"], {}) == {
        "egemaps": {
            "package": "opensmile 9.6",
            "set": "eGeMAPSv02",
            "licence": "audEERING Research License Agreement: no commercial use",
        }
    }
    assert extractor_of("egemaps").folder().startswith("egemaps-v1-")


def test_without_the_package_the_error_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(egemaps, "SMILE_PACKAGE", "no-such-package")
    with pytest.raises(ConfigError, match=r"'emi-workflow\[opensmile\]', if its licence") as error:
        require_extractors(["mfcc", "egemaps"])
    assert "\n" not in str(error.value)
