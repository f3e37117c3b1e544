"""Times of the sound: gaps, sound that begins late, files that are not read to their end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks.extraction.audio import Extraction, extract_together
from tasks.extraction.decoding.mixing import Mixing
from tasks.extraction.decoding.sound import Gap, Sound, max_matroska_bytes, ogg_links, read_matroska
from tasks.extraction.headers import Prober

MakeMedia = Callable[..., Path]
Take = Callable[..., Extraction]


def blocks(*times: int, samples: int = 320) -> bytes:
    """Return Matroska as ffmpeg writes it: a cluster with a block of 20 ms at each time, in ms."""
    data = b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67" + b"\x01" + b"\xff" * 7
    for time in times:
        block = b"\x81\x00\x00\x80" + b"\x01\x00" * samples
        size = (0x4000 | len(block)).to_bytes(2, "big")
        data += b"\x1f\x43\xb6\x75\x01" + b"\xff" * 7 + b"\xe7\x84" + time.to_bytes(4, "big")
        data += b"\xa3" + size + block
    return data


class TestMatroska:
    def test_samples_and_gaps(self) -> None:
        sound = read_matroska(blocks(0, 20, 40, 1_060, 1_080))
        assert sound.waveform.tolist() == [1] * 5 * 320
        assert sound.breaks == ((3 * 320, 16_000),)

    @pytest.mark.parametrize(
        "times",
        [
            (0, 21, 39, 61, 80),  # rounded
            (0, 160, 180, 200),  # the first frame of some phones
            (0, 40, 40, 80, 80, 120, 120),  # jitter
            tuple(range(0, 4_000, 21)),  # a clock that goes wrong
            (1_000, 1_020, 0, 20, 1_040, 1_060),  # it goes back, and on where it was
            tuple(range(0, 4_000, 200)),  # a rate that is wrong
            (0, 20, 4_000_000_000, 4_000_000_020),  # a wrong time: later than any recording is long
        ],
    )
    def test_what_is_no_gap(self, times: tuple[int, ...]) -> None:
        assert read_matroska(blocks(*times)).breaks == ()

    def test_small_gaps_are_added_up(self) -> None:
        times = [20 * number + 30 * (number // 2) for number in range(20)]  # every third is missing
        (first,) = read_matroska(blocks(*times)).breaks
        assert first == (14 * 320, 7 * 480)

    def test_what_was_cut_off(self) -> None:
        data = blocks(0, 20, 40)
        sizes = {read_matroska(data[:length]).waveform.size for length in range(len(data) + 1)}
        assert {0, 320, 640, 960} <= sizes
        assert max(sizes) == 960
        assert len(data) < max_matroska_bytes(960)


class TestFilled:
    def test_with_silence(self) -> None:
        sound = Sound(np.ones(300, np.int16), ((100, 16_000), (200, 8_000)))
        waveform, gaps = sound.filled(1_000_000)
        assert waveform.size == 300 + 24_000
        assert np.flatnonzero(waveform).tolist() == [
            *range(100),
            *range(16_100, 16_200),
            *range(24_200, 24_300),
        ]
        assert gaps == (Gap(0.00625, 1.0, 1.0), Gap(16_200 / 16_000, 0.5, 0.5))

    def test_a_long_one_in_part(self) -> None:
        waveform, (gap, other) = Sound(
            np.ones(300, np.int16), ((100, 16_000 * 60), (200, 16_000))
        ).filled(1_000_000)
        assert gap == Gap(0.00625, 60.0, 10.0)
        assert other.start_seconds == pytest.approx(60 + 0.0125)
        assert waveform.size == 300 + 16_000 * 11

    def test_no_more_than_is_wanted(self) -> None:
        sound = Sound(np.ones(300, np.int16), ((100, 16_000), (200, 8_000)))
        waveform, gaps = sound.filled(1_000)
        assert waveform[:1_001].tolist() == [1] * 100 + [0] * 901
        assert [gap.seconds for gap in gaps] == [1.0]
        assert sound.filled(50)[1] == ()

    def test_without_gaps_it_is_the_same(self) -> None:
        waveform = np.ones(300, np.int16)
        assert Sound(waveform).filled(10)[0] is waveform


class TestRecordings:
    @pytest.mark.parametrize("name", ["gap.mp4", "gap.flv", "gap.mkv"])
    def test_a_gap(self, name: str, make_media: MakeMedia, take: Take, prober: Prober) -> None:
        skip = "aselect='not(between(t,1,2.5))'"
        codec = ("-c:v", "flv1") if name.endswith("flv") else ("-c:v", "libx264")
        sound = ("-c:a", "mp3", "-ar", "44100") if name.endswith("flv") else ("-c:a", "aac")
        path = make_media(name, "-af", skip, *codec, *sound, seconds=4.0, picture_seconds=4.0)
        found = take(path)
        (gap,) = found.gaps
        assert gap.seconds == gap.filled_seconds == pytest.approx(1.5, abs=0.15)
        assert gap.start_seconds == pytest.approx(1.0, abs=0.15)
        assert found.waveform.size / 16_000 == pytest.approx(4.0, abs=0.15)
        assert not found.short_decode
        assert np.abs(found.waveform[int(1.3 * 16_000) : int(2.3 * 16_000)]).max() == 0
        assert np.abs(found.waveform[int(2.8 * 16_000) :]).max() > 3_000
        together = list(extract_together([path] * 2, max_seconds=12.0, prober=prober))
        for one in together:
            assert isinstance(one, Extraction)
            assert one.gaps == found.gaps
            assert np.array_equal(one.waveform, found.waveform)

    def test_sound_that_begins_late(self, make_media: MakeMedia, take: Take) -> None:
        late = ("-af", "asetpts=PTS+1.5/TB", "-c:v", "libx264", "-c:a", "aac")
        found = take(make_media("late.mp4", *late, picture_seconds=3.0))
        assert found.audio_start_seconds == pytest.approx(1.5, abs=0.1)
        assert found.waveform.size / 16_000 == pytest.approx(1.0, abs=0.1)
        assert (found.gaps, found.short_decode) == ((), False)

    def test_sound_that_begins_at_once(self, make_media: MakeMedia, take: Take) -> None:
        assert take(make_media("a.wav")).audio_start_seconds == 0.0
        for name in ("a.mp4", "a.ts", "a.webm"):
            video = "libvpx" if name.endswith("webm") else "mpeg2video"
            found = take(make_media(name, "-c:v", video, "-r", "25", picture_seconds=1.0))
            assert found.audio_start_seconds == 0.0, name

    @pytest.mark.parametrize(
        ("name", "codec"), [("a.vob", "mp2"), ("a.vob", "ac3"), ("a.ts", "mp2")]
    )
    def test_far_behind_the_beginning_of_a_disc_or_broadcast(
        self, name: str, codec: str, make_media: MakeMedia, take: Take
    ) -> None:
        late = ("-af", "asetpts=PTS+38/TB", "-c:v", "mpeg2video", "-r", "25", "-c:a", codec)
        path = make_media(name, *late, picture_seconds=40.0)
        found = take(path)
        assert found.codec == codec
        assert found.sampling_rate is not None
        assert found.audio_start_seconds == pytest.approx(38.0, abs=0.2)
        assert found.waveform.size / 16_000 == pytest.approx(1.0, abs=0.1)
        assert not found.short_decode

    @pytest.mark.parametrize(
        "links",
        [
            ("1.opus", "2.opus"),
            ("1.opus", "2.opus", "2.opus", "1.opus"),
            ("1.opus", "1.opus"),
            ("1.opus", "a.ogg", "b.ogg"),
        ],
    )
    def test_a_chain_of_other_channels_rates_and_codecs(
        self,
        links: tuple[str, ...],
        make_media: MakeMedia,
        tmp_path: Path,
        take: Take,
        prober: Prober,
    ) -> None:
        made = {
            "1.opus": make_media("1.opus", "-c:a", "libopus"),
            "2.opus": make_media("2.opus", "-c:a", "libopus", "-ac", "2"),
            "a.ogg": make_media("a.ogg", "-c:a", "libvorbis"),
            "b.ogg": make_media("b.ogg", "-c:a", "libvorbis", sampling_rate=44_100),
        }
        chain = tmp_path / "chain.ogg"
        chain.write_bytes(b"".join(made[link].read_bytes() for link in links))
        found = take(chain)
        assert found.waveform.size / 16_000 == pytest.approx(len(links), rel=0.02)
        assert not found.short_decode
        paths = [made["1.opus"], chain]
        together = list(extract_together(paths, max_seconds=12.0, prober=prober))
        assert isinstance(together[1], Extraction)
        assert np.array_equal(together[1].waveform, found.waveform)
        assert take(chain, 1.5).waveform.size == 24_000

    def test_a_chain_whose_channels_cancel(
        self, make_media: MakeMedia, tmp_path: Path, take: Take
    ) -> None:
        mirrored = ("-af", "pan=stereo|c0=c0|c1=-1*c0", "-c:a", "libvorbis")
        links = [
            make_media(f"{rate}.ogg", *mirrored, sampling_rate=rate) for rate in (48_000, 44_100)
        ]
        chain = tmp_path / "chain.ogg"
        chain.write_bytes(b"".join(link.read_bytes() for link in links))
        found = take(chain)
        assert found.mixing is Mixing.FIRST
        assert found.waveform.size / 16_000 == pytest.approx(2.0, rel=0.02)
        assert np.abs(found.waveform[-8_000:]).max() > 1_000
        assert not found.short_decode

    def test_what_cannot_be_read_to_its_end_is_flagged(
        self, make_media: MakeMedia, tmp_path: Path, take: Take
    ) -> None:
        begun = make_media("1.opus", "-c:a", "libopus").read_bytes()
        other = make_media("2.opus", "-c:a", "libopus", "-ac", "2").read_bytes()
        (tmp_path / "chain.opus").write_bytes(begun + other[:200])  # the other's headers alone
        assert take(tmp_path / "chain.opus").short_decode
        assert not take(tmp_path / "chain.opus", 0.5).short_decode


def test_links_of_what_is_no_chain(tmp_path: Path) -> None:
    assert ogg_links(str(tmp_path / "gone")) == []
    (tmp_path / "empty").touch()
    assert ogg_links(str(tmp_path / "empty")) == []
    (tmp_path / "cut").write_bytes(b"OggS" * 100)
    assert ogg_links(str(tmp_path / "cut")) == []
