"""Clips decoded in one run of ffmpeg: the same as one by one, whatever one of them does."""

from __future__ import annotations

import os
import random
import wave
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from emi_model.errors import MediaToolError
from tasks.corpus.listing import list_clips
from tasks.extraction.audio import MAX_CLIPS_TOGETHER, Extraction, extract, extract_together
from tasks.extraction.decoding.commands import TrackOfFile
from tasks.extraction.decoding.decode import Taken, decode_together
from tasks.extraction.ffmpeg import find_ffmpeg
from tasks.extraction.headers import Prober
from tasks.extraction.rows import extract_clip
from tasks.schema.outcomes import Reason, Rejection
from tasks.schema.scores import COSTS, EXTRACTED
from tasks.scoring.settings import ScoringSettings
from tasks.scoring.stages.extract_stage import extract_rows

MakeMedia = Callable[..., Path]
Found = Extraction | Rejection
Runs = Callable[[], list[int]]

FILM = ("-c:v", "libx264", "-c:a", "aac")


def facts(found: Found) -> dict[str, Any]:
    known = dict(asdict(found))
    if isinstance(found, Extraction):
        known["waveform"] = found.waveform.tobytes()
    return known


def check_same(
    paths: Sequence[Path], prober: Prober, max_seconds: float | None = 12.0
) -> list[Found]:
    """Return what clips give together, which is what each gives by itself."""
    together = list(extract_together(paths, max_seconds=max_seconds, prober=prober))
    alone = [extract(path, max_seconds=max_seconds, prober=prober) for path in paths]
    assert [facts(one) for one in together] == [facts(one) for one in alone]
    return together


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Runs]:
    """Return a function that puts a shell script before ffmpeg, which knows all it is told.

    It returns a function that tells how many files each run was given since it was last asked.
    """

    def put(line: str) -> Runs:
        path, log = tmp_path / "stand-in", tmp_path / "stand-in.log"
        path.write_text(f'#!/bin/sh\necho "$*" >> "{log}"\n{line}\nexec "{find_ffmpeg()}" "$@"\n')
        path.chmod(0o755)
        monkeypatch.setenv("EMI_FFMPEG", str(path))

        def runs() -> list[int]:
            lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
            log.unlink(missing_ok=True)
            return [line.count(" -i file:") for line in lines]

        return runs

    return put


@pytest.fixture
def tones(make_media: MakeMedia) -> list[Path]:
    return [make_media(f"{hertz}.wav", hertz=hertz, seconds=0.5) for hertz in (300, 400, 500)]


class TestSame:
    @pytest.mark.parametrize("max_seconds", [12.0, 0.5, None])
    def test_good_ones_of_many_kinds(
        self,
        max_seconds: float | None,
        make_media: MakeMedia,
        prober: Prober,
        stand_in: Callable[[str], Runs],
    ) -> None:
        film = {"picture_seconds": 2.0, "sampling_rate": 44_100}
        paths = [
            make_media("a film.mp4", *FILM, "-ac", "2", seconds=1.3, **film),
            make_media("b.mkv", "-af", "asetpts=PTS+2.4/TB", *FILM, seconds=1.0, **film),
            make_media("c.wav", seconds=0.25),
            make_media("-d.mp3", seconds=1.7, sampling_rate=48_000),
            make_media("é.flac", seconds=0.5, sampling_rate=8_000),
            make_media("f.webm", "-c:a", "libopus", seconds=1.0),
        ]
        runs = stand_in("")
        found = list(extract_together(paths, max_seconds=max_seconds, prober=prober))
        assert runs() == [len(paths)]
        assert all(isinstance(one, Extraction) for one in found)
        check_same(paths, prober, max_seconds)

    def test_bad_ones_among_good_ones(
        self, make_media: MakeMedia, tmp_path: Path, tones: list[Path], prober: Prober
    ) -> None:
        (tmp_path / "empty.mp4").touch()
        (tmp_path / "text.mp4").write_text("a text")
        header_only = tmp_path / "header.wav"
        with wave.open(str(header_only), "wb") as sound:
            sound.setparams((1, 2, 44_100, 0, "NONE", ""))
        cut = make_media("cut.mp4", *FILM, "-movflags", "+faststart", seconds=4.0)
        os.truncate(cut, cut.stat().st_size // 2)
        unknown = make_media("ac4.mp4", "-c:a", "ac3")
        unknown.write_bytes(unknown.read_bytes().replace(b"ac-3", b"ac-4"))
        bad = [tmp_path / "gone", tmp_path / "empty.mp4", tmp_path / "text.mp4", unknown]
        bad += [make_media("mute.mp4", *FILM, "-an", picture_seconds=1.0), header_only]
        found = check_same([tones[0], *bad, tones[1], cut, tones[2]], prober)
        reasons = [one.reason.value if isinstance(one, Rejection) else None for one in found]
        assert reasons == [
            None,
            "missing",
            *("unreadable", "unreadable", "unsupported_codec", "no_audio_track", "no_samples"),
            *(None, None, None),
        ]

    def test_random_damage(self, make_media: MakeMedia, tmp_path: Path, prober: Prober) -> None:
        chance = random.Random(0)
        contents = [
            make_media("film.mp4", *FILM, "-movflags", "+faststart", picture_seconds=1.0),
            make_media("a.mp3", sampling_rate=44_100),
        ]
        paths = []
        for number in range(MAX_CLIPS_TOGETHER):
            damaged = bytearray(contents[number % 2].read_bytes())
            for _ in range(chance.choice([1, 10, 100])):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            paths.append(tmp_path / f"{number}{contents[number % 2].suffix}")
            paths[-1].write_bytes(damaged)
        check_same(paths, prober)


class TestOneSpoilsTheRun:
    def test_a_crash_costs_one_clip(
        self, tones: list[Path], prober: Prober, stand_in: Callable[[str], Runs]
    ) -> None:
        runs = stand_in('case "$*" in *400.wav*) kill -SEGV $$;; esac')
        found = list(extract_together(tones, max_seconds=12.0, prober=prober))
        assert runs() == [3, 1, 1, 1]
        assert [isinstance(one, Extraction) for one in found] == [True, False, True]
        check_same(tones, prober)

    def test_one_that_hangs_is_the_only_one_to_time_out(
        self, tones: list[Path], prober: Prober, stand_in: Callable[[str], Runs]
    ) -> None:
        list(extract_together(tones[:1], max_seconds=1.0, prober=prober))  # starts the prober
        stand_in('case "$*" in *400.wav*) sleep 60;; esac')
        found = list(extract_together(tones, max_seconds=12.0, timeout_seconds=1.5, prober=prober))
        assert [isinstance(one, Extraction) for one in found] == [True, False, True]
        assert isinstance(found[1], Rejection)
        assert found[1].reason is Reason.TIMEOUT
        assert found[1].detail == "stopped at the time limit: no message"

    def test_what_is_whole_stays_when_another_ends_the_run(
        self, tones: list[Path], prober: Prober, stand_in: Callable[[str], Runs]
    ) -> None:
        """ffmpeg goes on to its end here, and then says that it failed."""
        runs = stand_in(f'"{find_ffmpeg()}" "$@"; exit 1')
        found = list(extract_together(tones, max_seconds=0.25, prober=prober))
        assert [one.truncated for one in found if isinstance(one, Extraction)] == [True] * 3
        assert runs() == [3]  # nobody was asked again

    def test_films_fill_a_whole_block_whatever_ffmpeg_says_of_their_pictures(
        self, make_media: MakeMedia, prober: Prober, stand_in: Callable[[str], Runs]
    ) -> None:
        film = make_media("film.mp4", *FILM, seconds=0.5, picture_seconds=0.5)
        runs = stand_in("")
        found = list(extract_together([film] * MAX_CLIPS_TOGETHER, max_seconds=12.0, prober=prober))
        assert all(isinstance(one, Extraction) for one in found)
        assert runs() == [MAX_CLIPS_TOGETHER]  # nobody was decoded again

    def test_who_says_much_does_not_hide_that_another_ended_early(
        self, make_media: MakeMedia, prober: Prober
    ) -> None:
        links = [
            make_media(f"{channels}.opus", "-c:a", "libopus", "-ac", str(channels))
            for channels in (1, 2)
        ]
        chain = links[0].with_name("chain.opus")
        chain.write_bytes(b"".join(link.read_bytes() for link in links))
        damaged = make_media("damaged.m4a", "-c:a", "aac", "-movflags", "+faststart", seconds=30.0)
        content, chance = bytearray(damaged.read_bytes()), random.Random(0)
        for _ in range(len(content) // 50):
            content[chance.randrange(len(content) // 10, len(content))] = chance.randrange(256)
        damaged.write_bytes(content)
        whole, _ = check_same([chain, damaged], prober)
        assert isinstance(whole, Extraction)
        assert whole.waveform.size / 16_000 == pytest.approx(2.0, abs=0.1)

    def test_a_tool_that_gives_nothing(
        self, tones: list[Path], prober: Prober, stand_in: Callable[[str], Runs]
    ) -> None:
        stand_in("exit 0")
        found = check_same(tones, prober)
        assert {one.reason for one in found if isinstance(one, Rejection)} == {Reason.NO_SAMPLES}

    def test_no_tool(
        self, tones: list[Path], prober: Prober, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "ffmpeg").write_bytes(b"\x7fELF and no more")
        (tmp_path / "ffmpeg").chmod(0o755)
        monkeypatch.setenv("EMI_FFMPEG", str(tmp_path / "ffmpeg"))
        with pytest.raises(MediaToolError, match="cannot be started"):
            list(extract_together(tones, max_seconds=12.0, prober=prober))


def test_each_file_of_a_run_is_read_under_the_whitelists(
    make_media: MakeMedia, tones: list[Path], tmp_path: Path
) -> None:
    """Headers are looked at before: what comes so far here got past that."""
    entries = "".join(f"#EXTINF:1,\nfile:{tone}\n" for tone in tones)
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{entries}#EXT-X-ENDLIST\n")
    yamaha = make_media("yamaha.wav", "-c:a", "adpcm_yamaha")
    for refused in (playlist, yamaha):
        for paths in ([refused, tones[0]], [tones[0], refused]):
            tracks = [TrackOfFile(f"file:{path}", 0) for path in paths]
            found = decode_together(tracks, num_samples=16_000, timeout_seconds=20.0)
            assert found == [Taken(None, None)] * 2


class TestLong:
    @pytest.fixture(autouse=True)
    def bound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tasks.extraction.audio.MAX_SECONDS_TOGETHER", 1.2)

    def test_they_are_decoded_by_themselves(
        self,
        make_media: MakeMedia,
        tones: list[Path],
        prober: Prober,
        stand_in: Callable[[str], Runs],
    ) -> None:
        paths = [make_media("long.wav", seconds=2.0), *tones]
        paths.append(make_media("says nothing.aac", seconds=0.5))
        runs = stand_in("")
        found = extract_together(paths, max_seconds=None, prober=prober)
        next(found)
        assert runs() == [3, 1]  # the next long one when it is asked for
        assert len(list(found)) == 4
        assert runs() == [1]
        check_same(paths, prober, None)

    def test_a_header_that_is_wrong(
        self, make_media: MakeMedia, tones: list[Path], prober: Prober
    ) -> None:
        path = make_media("a.mka", "-c:a", "flac", seconds=2.0)
        content = path.read_bytes()
        assert content.count(b"00:00:02.0") == 1
        path.write_bytes(content.replace(b"00:00:02.0", b"00:00:01.0"))
        found, *_ = check_same([path, *tones], prober, None)
        assert isinstance(found, Extraction)
        assert found.declared_seconds == 1.0
        assert found.waveform.size == 2 * 16_000


def test_rows_of_a_block_are_those_of_its_clips(
    make_media: MakeMedia, tones: list[Path], prober: Prober, stand_in: Callable[[str], Runs]
) -> None:
    (tones[0].parent / "empty.mp4").touch()
    clips = list_clips(str(tones[0].parent))
    settings = ScoringSettings("tiny", ("joy",), 12.0, "first", "fp32", timeout_seconds=30.0)
    runs = stand_in("")
    tables = list(extract_rows(clips, settings, prober))
    assert runs() == [3]
    assert {table.num_rows for table in tables} == {1}
    rows = pa.concat_tables(tables).to_pylist()
    seconds = [row.pop(COSTS[0].name) for row in rows]
    assert all(each >= 0 for each in seconds)
    assert tables[0].schema.names == [*EXTRACTED.names, COSTS[0].name]
    assert rows == [
        extract_clip(clip, max_seconds=12.0, timeout_seconds=30.0, prober=prober) for clip in clips
    ]
    list(extract_rows(clips[:1], settings, prober))
    assert set(runs()) == {1}  # alone, as suspects are
