"""How channels become one: recorders without a layout, spheres of sound, stereo that cancels."""

from __future__ import annotations

import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.extraction.audio import Extraction, extract_together
from tasks.extraction.decoding.mixing import Mixing, mixing_of
from tasks.extraction.headers import Prober
from tasks.schema.outcomes import Reason, Rejection

MakeMedia = Callable[..., Path]
Take = Callable[..., Extraction]
TONE = (8_000 * np.sin(2 * np.pi * 440 / 16_000 * np.arange(8_000))).astype(np.int16)


def write_channels(path: Path, channels: Sequence[NDArray[Any]]) -> Path:
    """Write 16-bit channels at 16 kHz without a layout."""
    with wave.open(str(path), "wb") as sound:
        sound.setparams((len(channels), 2, 16_000, 0, "NONE", ""))
        sound.writeframes(np.stack(channels, axis=1).astype("<i2").tobytes())
    return path


def microphones(path: Path, number: int, place: int) -> Path:
    """Write a recording of several microphones, one of which hears a tone."""
    channels = [np.zeros_like(TONE)] * number
    channels[place] = TONE
    return write_channels(path, channels)


@pytest.mark.parametrize(("number", "place"), [(3, 2), (6, 3), (8, 3), (9, 0), (17, 16), (60, 5)])
def test_every_microphone_counts_the_same(
    number: int, place: int, tmp_path: Path, take: Take
) -> None:
    found = take(microphones(tmp_path / "poly.wav", number, place))
    assert found.mixing is Mixing.MEAN
    assert np.abs(found.waveform - TONE / number).max() <= 1.01


@pytest.mark.parametrize("name", ["poly.flac", "poly.mkv", "poly.au"])
def test_other_containers_of_recorders(
    name: str, make_media: MakeMedia, tmp_path: Path, take: Take
) -> None:
    source = microphones(tmp_path / "poly.wav", 6, 3)
    codec = {"poly.flac": "flac", "poly.mkv": "copy", "poly.au": "pcm_s16be"}[name]
    path = make_media(name, "-i", str(source), "-map", "1", "-c:a", codec)
    found = take(path)
    assert found.mixing is Mixing.MEAN
    assert np.abs(found.waveform).max() == pytest.approx(8_000 / 6, rel=0.01)


def test_a_film_without_its_layout(make_media: MakeMedia, tmp_path: Path, take: Take) -> None:
    """ffmpeg writes a layout into QuickTime; a recorder's file has none."""
    source = microphones(tmp_path / "poly.wav", 6, 3)
    path = make_media("poly.mov", "-i", str(source), "-map", "1", "-c:a", "copy")
    content = path.read_bytes()
    assert content.count(b"chan") == 1
    path.write_bytes(content.replace(b"chan", b"free"))
    assert take(path).mixing is Mixing.MEAN


def test_a_declared_layout_is_weighed_by_it(make_media: MakeMedia, take: Take) -> None:
    voice = ("-af", "pan=5.1|FC=c0|LFE=c0", "-c:a", "ac3", "-ar", "48000")
    found = take(make_media("film.ac3", *voice))
    assert (found.mixing, found.channels) == (Mixing.LAYOUT, 6)


def test_ambisonic_w(make_media: MakeMedia, take: Take) -> None:
    sphere = (
        "pan=4c|c0=c0|c1=0*c0|c2=0*c0|c3=0*c0,channelmap=map=0|1|2|3:channel_layout=ambisonic 1"
    )
    path = make_media("sphere.opus", "-af", sphere, "-c:a", "libopus", "-mapping_family", "2")
    found = take(path)
    assert found.mixing is Mixing.AMBISONIC
    assert np.abs(found.waveform).max() == pytest.approx(32_768 / 8, rel=0.1)


def test_more_channels_than_ffmpeg_mixes(tmp_path: Path, reject: Callable[..., Rejection]) -> None:
    found = reject(microphones(tmp_path / "poly.wav", 65, 0))
    assert found.reason is Reason.UNSUPPORTED_FORMAT
    assert found.detail == "found 65 channels, expected 64 at most"


class TestStereoThatCancels:
    def test_alone_and_together(self, tmp_path: Path, prober: Prober, take: Take) -> None:
        mirrored = write_channels(tmp_path / "a.wav", [TONE, -TONE])
        nearly = write_channels(tmp_path / "b.wav", [TONE, -0.9 * TONE])
        plain = write_channels(tmp_path / "c.wav", [TONE, TONE])
        silent = write_channels(tmp_path / "d.wav", [0 * TONE, 0 * TONE])
        quiet = write_channels(tmp_path / "e.wav", [TONE // 100, TONE // 100])
        paths = [mirrored, nearly, plain, silent, quiet]
        mixings = [Mixing.FIRST, Mixing.FIRST, Mixing.LAYOUT, Mixing.LAYOUT, Mixing.LAYOUT]
        together = extract_together(paths, max_seconds=12.0, prober=prober)
        for path, one, mixing in zip(paths, together, mixings, strict=True):
            alone = take(path)
            assert isinstance(one, Extraction)
            assert one.mixing is alone.mixing is mixing
            assert np.array_equal(one.waveform, alone.waveform)
        assert np.array_equal(take(mirrored).waveform, TONE)

    def test_a_silent_beginning_tells_nothing(self, tmp_path: Path, prober: Prober) -> None:
        begun = np.concatenate([np.zeros(48_000, np.int16), TONE])
        mirrored = write_channels(tmp_path / "a.wav", [begun, -begun])
        (one, _) = extract_together([mirrored] * 2, max_seconds=12.0, prober=prober)
        assert isinstance(one, Extraction)
        assert np.array_equal(one.waveform, begun)

    def test_one_dead_channel_is_no_mirror_image(self, tmp_path: Path, take: Take) -> None:
        found = take(write_channels(tmp_path / "a.wav", [TONE // 50, 0 * TONE]))
        assert found.mixing is Mixing.LAYOUT


@pytest.mark.parametrize(
    ("codec", "layout", "channels", "mixing"),
    [
        ("pcm_s16le", "6 channels", 6, Mixing.MEAN),
        ("pcm_s16le", "2 channels", 2, Mixing.LAYOUT),
        ("pcm_s24le", "1 channels", 1, Mixing.LAYOUT),
        ("pcm_s24le", "5.1", 6, Mixing.LAYOUT),
        ("flac", "5.1", 6, Mixing.MEAN),
        ("flac", "5.1(side)", 6, Mixing.LAYOUT),
        ("flac", "stereo", 2, Mixing.LAYOUT),
        ("aac", "5.1", 6, Mixing.LAYOUT),
        ("opus", "ambisonic 1", 4, Mixing.AMBISONIC),
        ("opus", "ambisonic 1+stereo", 6, Mixing.AMBISONIC),
        (None, None, None, Mixing.LAYOUT),
    ],
)
def test_what_a_header_means(
    codec: str | None, layout: str | None, channels: int | None, mixing: Mixing
) -> None:
    assert mixing_of(codec, layout, channels) is mixing
