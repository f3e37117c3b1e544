"""Files become waveforms without any other program."""

import numpy as np
import pytest
import soundfile

from emi_model.audio.reading import read_waveform, resample
from emi_model.errors import AudioError


def tone(rate, seconds=0.5, hertz=440):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 22_254, 44_100, 48_000, 96_000])
def test_a_tone_of_any_rate_stays_that_tone(rate):
    found = resample(tone(rate).astype(np.float32), rate)
    assert (len(found), found.dtype) == (8_000, np.float32)
    middle = slice(800, -800)  # the filter sees zeros beyond the ends
    assert np.abs(found - tone(16_000))[middle].max() < 2e-3


def test_rates_without_common_factors_fill_no_memory():
    """All filters of 44,099 Hz together would take several times 5 GB."""
    found = resample(tone(44_099).astype(np.float32), 44_099)
    middle = slice(800, 7_200)
    assert np.abs(found[middle] - tone(16_000)[middle]).max() < 2e-3


def test_what_16_khz_cannot_hold_is_taken_away():
    found = resample(tone(48_000, hertz=11_000).astype(np.float32), 48_000)
    assert np.abs(found[800:-800]).max() < 1e-3


@pytest.mark.parametrize(("suffix", "subtype"), [("wav", "PCM_16"), ("flac", "PCM_24")])
def test_a_file_is_the_mean_of_its_channels(tmp_path, suffix, subtype):
    path = tmp_path / f"a.{suffix}"
    stereo = np.stack([tone(16_000), -0.5 * tone(16_000)], axis=1)
    soundfile.write(path, stereo, 16_000, subtype=subtype)
    found = read_waveform(path)
    assert found.dtype == np.float32
    assert np.abs(found - 0.25 * tone(16_000)).max() < 1e-4
    assert len(read_waveform(path, max_seconds=0.25)) == 4_000


@pytest.mark.parametrize("content", [None, b"", b"no audio" * 100])
def test_what_cannot_be_read_is_said(tmp_path, content):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioError, match=r"a\.wav: cannot be read .*`emi score` reads other"):
        read_waveform(path)


def test_a_file_without_samples(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 16_000)
    with pytest.raises(AudioError, match="found no sample"):
        read_waveform(tmp_path / "a.wav")
