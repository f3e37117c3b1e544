"""Frames, stretches of frames, and the mel filterbank."""

from __future__ import annotations

import numpy as np
import pytest
from transformers.audio_utils import mel_filter_bank, window_function

from emi_model.arrays import Doubles
from emi_model.audio.features import frames
from emi_model.audio.features.frames import hann, mel_filters, over_frames, stretches
from emi_model.errors import AudioError


def same(windows: Doubles) -> Doubles:
    return windows


@pytest.mark.parametrize("count", [1, 100, 160, 479, 480, 5000])
def test_a_window_is_centred_on_its_frame_and_mirrored_beyond_the_ends(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "_AT_ONCE", 4)
    waveform = np.random.default_rng(0).integers(-9000, 9000, count).astype(np.int16)
    found = over_frames(waveform, 400, same) * 32768
    assert found.shape == (max(1, count // 160), 400)
    back_and_forth = np.concatenate([waveform, waveform[::-1]])
    for number, window in enumerate(found):
        places = np.arange(160 * number - 120, 160 * number + 280)
        expected = back_and_forth[places % (2 * count)]
        np.testing.assert_array_equal(window, expected)


def test_int16_and_float_give_the_same() -> None:
    waveform = np.random.default_rng(0).integers(-9000, 9000, 900).astype(np.int16)
    as_floats = (waveform / 32768).astype(np.float32)
    np.testing.assert_array_equal(
        over_frames(waveform, 640, same), over_frames(as_floats, 640, same)
    )


def test_what_is_no_sound_is_refused() -> None:
    with pytest.raises(AudioError, match="without samples"):
        over_frames(np.zeros(0, np.int16), 400, same)
    with pytest.raises(AudioError, match="one channel"):
        over_frames(np.zeros((2, 800), np.float32), 400, same)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, [(0, 1)]),
        (99, [(0, 99)]),
        (100, [(0, 100), (50, 100)]),
        (230, [(0, 100), (50, 150), (100, 200), (150, 230)]),
    ],
)
def test_a_stretch_begins_every_half_second(count: int, expected: list[tuple[int, int]]) -> None:
    assert [(one.start, one.stop) for one in stretches(count)] == expected


def test_filters_and_window_are_those_of_the_reference() -> None:
    expected = mel_filter_bank(257, 26, 20.0, 8000.0, 16_000, norm=None, mel_scale="htk")
    np.testing.assert_allclose(mel_filters(26, 512, 20.0, 8000.0), expected, atol=1e-9)
    np.testing.assert_allclose(hann(400), window_function(400, "hann", periodic=True), atol=1e-12)
