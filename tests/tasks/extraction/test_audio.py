from __future__ import annotations

import os
import random
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emi_model.errors import ConfigError
from tasks.extraction.audio import Extraction, extract
from tasks.extraction.headers import AudioTrack, Prober
from tasks.extraction.tracks import choose_track
from tasks.schema.outcomes import Rejection

MakeMedia = Callable[..., Path]
Take = Callable[..., Extraction]

FILM = ("-c:v", "libx264", "-c:a", "aac")


def read_wav(path: Path) -> NDArray[np.int16]:
    with wave.open(str(path)) as sound:
        return np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2")


def loudest_hertz(waveform: NDArray[np.int16]) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(waveform))) * 16_000 / waveform.size)


class TestSamples:
    def test_16_khz_mono_comes_through_bit_for_bit(self, make_media: MakeMedia, take: Take) -> None:
        path = make_media("tone.wav", seconds=1.5)
        found = take(path)
        assert np.array_equal(found.waveform, read_wav(path))
        assert found.waveform.dtype == np.int16
        assert (found.truncated, found.short_decode) == (False, False)

    def test_film_of_44_khz_stereo(self, make_media: MakeMedia, take: Take) -> None:
        options = (*FILM, "-ac", "2")
        path = make_media(
            "film.mp4", *options, seconds=2.0, sampling_rate=44_100, picture_seconds=2.0
        )
        found = take(path)
        assert found.waveform.shape == (32_000,)
        assert loudest_hertz(found.waveform) == pytest.approx(440, abs=1)
        assert (found.codec, found.sampling_rate, found.channels) == ("aac", 44_100, 2)
        assert (found.track, found.num_tracks, found.declared_seconds) == (1, 1, 2.0)

    def test_two_channels_become_their_mean(self, make_media: MakeMedia, take: Take) -> None:
        pan = ("-af", "pan=stereo|c0=c0|c1=0*c0", "-ar", "16000")
        both = read_wav(make_media("left.wav", *pan)).reshape(-1, 2).astype(float)
        found = take(make_media("left.wav", *pan))
        assert np.abs(found.waveform - both.mean(axis=1)).max() <= 1

    @pytest.mark.parametrize(
        ("max_seconds", "num_samples", "truncated"),
        [
            (1.0, 16_000, True),
            (1.5 - 1 / 16_000, 23_999, True),
            (1.5, 24_000, False),
            (2.0, 24_000, False),
            (None, 24_000, False),
        ],
    )
    def test_only_what_was_asked_for(
        self,
        max_seconds: float | None,
        num_samples: int,
        truncated: bool,
        make_media: MakeMedia,
        take: Take,
    ) -> None:
        path = make_media("tone.wav", seconds=1.5)
        found = take(path, max_seconds)
        assert np.array_equal(found.waveform, read_wav(path)[:num_samples])
        assert found.truncated is truncated
        assert not found.short_decode

    def test_no_clip_is_longer_than_the_cap(
        self, make_media: MakeMedia, take: Take, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tasks.extraction.audio.MAX_CLIP_SECONDS", 0.5)
        path = make_media("tone.wav")
        for max_seconds in (None, 0.75):
            found = take(path, max_seconds)
            assert found.waveform.size == 8_000
            assert found.truncated

    @pytest.mark.parametrize("max_seconds", [0.0, -1.0, float("nan"), 1e-6])
    def test_less_than_a_sample_cannot_be_asked_for(self, max_seconds: float) -> None:
        with pytest.raises(ConfigError, match="max_seconds"):
            extract(Path("any.mp4"), max_seconds=max_seconds)

    @pytest.mark.parametrize("name", ["late.mp4", "late.mkv"])
    def test_late_start_is_neither_padded_nor_paid_with_the_end(
        self, name: str, make_media: MakeMedia, take: Take
    ) -> None:
        path = make_media(
            name, "-af", "asetpts=PTS+2.4/TB", *FILM, seconds=3.0, picture_seconds=6.0
        )
        whole = take(path)
        assert whole.waveform.size / 16_000 == pytest.approx(3.0, abs=0.1)
        assert np.abs(whole.waveform[2_000:3_000]).max() > 1_000
        assert not whole.short_decode
        assert take(path, 2.0).waveform.size == 32_000

    def test_without_a_prober_one_is_started(self, make_media: MakeMedia) -> None:
        assert isinstance(extract(make_media("tone.wav"), max_seconds=None), Extraction)


class TestShortDecode:
    def test_film_cut_in_half(self, make_media: MakeMedia, take: Take) -> None:
        path = make_media(
            "cut.mp4", *FILM, "-movflags", "+faststart", seconds=4.0, picture_seconds=4.0
        )
        os.truncate(path, path.stat().st_size // 2)
        found = take(path)
        assert found.short_decode
        assert not found.truncated
        assert found.declared_seconds == 4.0
        assert 8_000 < found.waveform.size < 48_000
        assert not take(path, 0.5).short_decode

    def test_matroska_cut_in_half(self, make_media: MakeMedia, take: Take) -> None:
        path = make_media("cut.mkv", *FILM, seconds=4.0, picture_seconds=4.0)
        os.truncate(path, path.stat().st_size // 2)
        assert take(path).short_decode

    def test_picture_may_outlast_the_sound(self, make_media: MakeMedia, take: Take) -> None:
        found = take(make_media("film.mp4", *FILM, picture_seconds=3.0))
        assert not found.short_decode
        assert found.declared_seconds == 1.0

    def test_container_speaks_where_the_track_is_silent(
        self, make_media: MakeMedia, take: Take
    ) -> None:
        options = ("-c:v", "flv1", "-c:a", "mp3", "-ar", "44100")
        found = take(make_media("film.flv", *options, picture_seconds=3.0))
        assert not found.short_decode
        assert found.declared_seconds == pytest.approx(3.0, abs=0.2)

    def test_damaged_middle_still_gives_samples(self, make_media: MakeMedia, take: Take) -> None:
        path = make_media("hole.m4a", "-c:a", "aac", "-movflags", "+faststart", seconds=3.0)
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 2_000] = b"\xff" * 2_000
        path.write_bytes(content)
        assert take(path).waveform.size > 16_000

    def test_random_damage_never_raises(self, make_media: MakeMedia, prober: Prober) -> None:
        path = make_media("film.mp4", *FILM, "-movflags", "+faststart", picture_seconds=1.0)
        content = path.read_bytes()
        chance = random.Random(0)
        for _ in range(12):
            damaged = bytearray(content)
            for _ in range(chance.choice([1, 10, 100])):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            path.write_bytes(damaged)
            found = extract(path, max_seconds=12.0, prober=prober)
            assert isinstance(found, Extraction | Rejection)


class TestTracks:
    @pytest.mark.parametrize(
        ("tracks", "chosen"),
        [
            ("8k* 16k*", 1),
            ("8k 16k", 1),
            ("8k* 16k", 0),
            ("16k 16k", 0),
            ("8k 48k? 16k", 2),
            ("8k 48k?* 48k!*", 0),
            ("8k? 16k!", 1),
        ],
    )
    def test_choice(self, tracks: str, chosen: int) -> None:
        """A star marks the default, ``?`` a track without decoder, ``!`` an encrypted one."""
        described = [
            AudioTrack(
                index=index,
                codec="aac",
                allowed="?" not in track,
                encrypted="!" in track,
                sampling_rate=int(track.partition("k")[0]) * 1000,
                channels=1,
                default="*" in track,
                seconds=None,
            )
            for index, track in enumerate(tracks.split())
        ]
        assert choose_track(described).index == chosen

    def test_chosen_track_is_the_one_decoded(self, make_media: MakeMedia, take: Take) -> None:
        second = ("-f", "lavfi", "-i", "sine=frequency=880:duration=1:sample_rate=16000")
        path = make_media(
            "two.mp4",
            *(*second, "-map", "1:v", "-map", "0:a", "-map", "2:a", *FILM),
            *("-disposition:a:0", "default", "-disposition:a:1", "default"),
            sampling_rate=8_000,
            picture_seconds=1.0,
        )
        found = take(path)
        assert (found.track, found.num_tracks, found.sampling_rate) == (2, 2, 16_000)
        assert loudest_hertz(found.waveform) == pytest.approx(880, abs=2)

    def test_track_without_a_decoder_gives_way(self, make_media: MakeMedia, take: Take) -> None:
        codecs = ("-map", "0", "-map", "0", "-c:a:0", "adpcm_yamaha", "-c:a:1", "pcm_s16le")
        found = take(make_media("two.avi", *codecs))
        assert (found.track, found.num_tracks, found.codec) == (2, 2, "pcm_s16le")
