"""The corpus that speed is measured on."""

import pytest

from emi_model.speed.media_files import decode_media, find_media
from tasks.corpus.listing import list_clips
from tasks.synthetic.noise import write_noise


def test_clips_last_as_long_as_asked_for_and_none_has_a_twin(tmp_path):
    seconds, told = [0.5, 2.0, 2.0, 12.0], []
    write_noise(tmp_path / "corpus", seconds, lambda *done: told.append(done))
    paths = find_media(tmp_path / "corpus")
    assert len(list_clips(str(tmp_path / "corpus"))) == len(paths) == 4
    waveforms = [decode_media(path, 20 * 16_000) for path in paths]
    # the encoder fills its last frame up
    assert [len(each) / 16_000 for each in waveforms] == pytest.approx(seconds, abs=0.2)
    assert all(waveform.std() > 1_000 for waveform in waveforms)
    assert len({path.read_bytes() for path in paths}) == 4
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
